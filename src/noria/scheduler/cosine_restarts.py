"""A linear warm-up, then several half cosine waves down, each starting at the full rate again.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.scheduler.warmup import warmup_length


def cosine_restarts(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_steps: Annotated[float, Ge(0)] = 0.06,
    cycles: Annotated[int, Ge(1)] = 3,
) -> LRScheduler:
    """From 0 up to the optimizer's rate over `warmup_steps` (steps, or below 1 a fraction), then `cycles`
    equally long falls to 0 (SGDR, Loshchilov and Hutter 2017, eq. 5 with T_mult = 1).

    Raises:
        UserError: the warm-up is not shorter than `total_steps`.
    """
    from transformers.optimization import get_cosine_with_hard_restarts_schedule_with_warmup

    warmup = warmup_length(warmup_steps, total_steps)
    return get_cosine_with_hard_restarts_schedule_with_warmup(optimizer, warmup, total_steps, cycles)
