"""Lengths in a schedule: a whole number of steps, or a fraction of all steps.

Knows nothing of learning rates.
"""

from __future__ import annotations

import math

from noria.common.errors import UserError


def as_steps(length: float, total_steps: int, key: str) -> int:
    """`length` in optimizer steps: itself from 1 on, below 1 a fraction of `total_steps`, rounded up.

    The same reading as `warmup_steps` in transformers 5. `key` names the setting in messages.

    Raises:
        UserError: negative, or from 1 on not a whole number.
        ValueError: `total_steps` is not positive.
    """
    if total_steps < 1:
        raise ValueError(f"a schedule needs at least one step, got total_steps={total_steps}")
    if length < 0 or (length >= 1 and length != int(length)):
        raise UserError(f"{key} must be a whole number of steps, or a fraction of all steps in [0, 1); got {length}")
    return int(length) if length >= 1 else math.ceil(total_steps * length)


def warmup_length(warmup_steps: float, total_steps: int) -> int:
    """The steps of a warm-up, always fewer than `total_steps`.

    Raises:
        UserError: as `as_steps`, or a number of steps that leaves nothing after the warm-up.
    """
    steps = as_steps(warmup_steps, total_steps, "scheduler.warmup_steps")
    if warmup_steps < 1:
        # A fraction only fails to leave a step by rounding, in runs of a few steps such as a dry run.
        return min(steps, total_steps - 1)
    if steps >= total_steps:
        raise UserError(
            f"scheduler.warmup_steps={steps} is not shorter than the training of {total_steps} optimizer "
            "steps. Shorten the warm-up, give it as a fraction such as 0.06, or train longer."
        )
    return steps
