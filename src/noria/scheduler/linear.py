"""A linear warm-up, then a linear fall to 0.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.scheduler.warmup import warmup_length


def linear(optimizer: Optimizer, total_steps: int, *, warmup_steps: Annotated[float, Ge(0)] = 0.06) -> LRScheduler:
    """From 0 up to the optimizer's rate over `warmup_steps` (steps, or below 1 a fraction), then down to 0.

    Raises:
        UserError: the warm-up is not shorter than `total_steps`.
    """
    from transformers.optimization import get_linear_schedule_with_warmup

    return get_linear_schedule_with_warmup(optimizer, warmup_length(warmup_steps, total_steps), total_steps)
