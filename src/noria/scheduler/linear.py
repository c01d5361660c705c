"""A linear warm-up, then a linear fall to 0.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from noria.scheduler.warmup import warmup_length


def linear(optimizer: Optimizer, total_steps: int, *, warmup_steps: Annotated[float, Ge(0)] = 0.06) -> LambdaLR:
    """From 0 up to the optimizer's rate over `warmup_steps` (steps, or below 1 a fraction), then down to 0.

    Raises:
        UserError: the warm-up is not shorter than `total_steps`.
    """
    # transformers has it too, but beside its Trainer: importing that, and peft with it, would delay every first step.
    return LambdaLR(optimizer, partial(_factor, warmup=warmup_length(warmup_steps, total_steps), total=total_steps))


def _factor(step: int, *, warmup: int, total: int) -> float:
    return step / warmup if step < warmup else max(0, total - step) / (total - warmup)
