"""Warm-up, stable, decay: a long constant stretch, then a short fall at the end.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.common.errors import UserError
from noria.scheduler.warmup import as_steps, warmup_length


def wsd(
    optimizer: Optimizer,
    total_steps: int,
    *,
    warmup_steps: Annotated[float, Ge(0)] = 0.06,
    decay_steps: Annotated[float, Gt(0)] = 0.2,
    decay: Literal["linear", "cosine", "1-sqrt"] = "1-sqrt",
    min_ratio: Annotated[float, Interval(ge=0, le=1)] = 0.0,
) -> LRScheduler:
    """From `min_ratio` of the optimizer's rate up to all of it over `warmup_steps`, constant, and back down
    to `min_ratio` over the last `decay_steps`; both in steps, or below 1 fractions of `total_steps`.

    Hu et al. 2024 (MiniCPM), section 4; the 1-sqrt form is from Haegele et al. 2024.

    Raises:
        UserError: warm-up and decay together are longer than `total_steps`.
    """
    from transformers.optimization import get_wsd_schedule

    warmup = warmup_length(warmup_steps, total_steps)
    falling = as_steps(decay_steps, total_steps, "scheduler.decay_steps")
    if decay_steps < 1 and warmup_steps + decay_steps <= 1:
        # Fractions that fit together must not fail because both were rounded up.
        falling = min(falling, total_steps - warmup)
    if warmup + falling > total_steps:
        raise UserError(
            f"scheduler.warmup_steps and scheduler.decay_steps are {warmup} + {falling} optimizer steps, "
            f"more than the {total_steps} of the training. Shorten one of them, or train longer."
        )
    return get_wsd_schedule(
        optimizer, warmup, falling, num_training_steps=total_steps, decay_type=decay, min_lr_ratio=min_ratio
    )
