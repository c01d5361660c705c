"""A linear warm-up, then half a cosine wave down.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Interval
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.scheduler.warmup import warmup_length


def cosine(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_steps: Annotated[float, Ge(0)] = 0.06,
    min_ratio: Annotated[float, Interval(ge=0, le=1)] = 0.0,
) -> LRScheduler:
    """From 0 up to the optimizer's rate over `warmup_steps` (steps, or below 1 a fraction), then down to
    `min_ratio` of it at the end (Loshchilov and Hutter 2017, eq. 5, without restarts).

    Raises:
        UserError: the warm-up is not shorter than `total_steps`.
    """
    from transformers.optimization import get_cosine_with_min_lr_schedule_with_warmup

    warmup = warmup_length(warmup_steps, total_steps)
    return get_cosine_with_min_lr_schedule_with_warmup(optimizer, warmup, total_steps, min_lr_rate=min_ratio)
