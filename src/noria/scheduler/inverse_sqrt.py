"""A linear warm-up, then a fall with one over the square root of the step, as Transformers were first trained.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from noria.scheduler.warmup import warmup_length


def inverse_sqrt(optimizer: Optimizer, total_steps: int, *, warmup_steps: Annotated[float, Ge(0)] = 0.06) -> LambdaLR:
    """From 0 up to the optimizer's rate over w = `warmup_steps` (steps, or below 1 a fraction), then at step s the rate
    times √(w / s) (Vaswani et al. 2017, equation 3, where the rate is given by the width). Without a warm-up it is
    the rate times 1 / √(s + 1).

    Raises:
        UserError: the warm-up is not shorter than `total_steps`.
    """
    return LambdaLR(optimizer, partial(_factor, warmup=warmup_length(warmup_steps, total_steps)))


def _factor(step: int, *, warmup: int) -> float:
    if not warmup:
        return float((step + 1) ** -0.5)
    return float(step / warmup if step < warmup else (warmup / step) ** 0.5)
