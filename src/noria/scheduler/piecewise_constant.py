"""A learning rate that is constant between milestones, after an optional linear warm-up.

Knows optimizer steps only, not epochs.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from typing import Annotated

from annotated_types import Ge
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from noria.common.errors import UserError
from noria.scheduler.warmup import as_steps, warmup_length


def piecewise_constant(
    optimizer: Optimizer,
    total_steps: int,
    *,
    milestones: list[float] = [0.5, 0.75],  # noqa: B006 - only read
    factors: list[float] = [1.0, 0.1, 0.01],  # noqa: B006 - only read
    warmup_steps: Annotated[float, Ge(0)] = 0.0,
) -> LambdaLR:
    """The optimizer's rate times factors[0] until milestones[0], then times factors[1], and so on.

    Milestones and warm-up are steps, or below 1 fractions of `total_steps`, all counted from the start;
    during the warm-up the rate also rises linearly from 0.

    Raises:
        UserError: not one factor more than milestones, a negative factor, milestones that fall or lie beyond
            the end, or a warm-up that is not shorter than `total_steps`.
    """
    if len(factors) != len(milestones) + 1:
        raise UserError(
            f"scheduler.factors needs one number more than scheduler.milestones has: "
            f"{len(milestones) + 1}, got {len(factors)}"
        )
    if any(factor < 0 for factor in factors):
        raise UserError(f"scheduler.factors must not be negative, got {factors}")
    steps = [as_steps(milestone, total_steps, "scheduler.milestones") for milestone in milestones]
    if steps != sorted(steps):
        raise UserError(f"scheduler.milestones must rise, got {milestones}, which are the steps {steps}")
    if steps and steps[-1] > total_steps:
        raise UserError(
            f"scheduler.milestones={milestones} go beyond the training of {total_steps} optimizer steps. "
            "Give them as fractions such as 0.5, or train longer."
        )
    warmup = warmup_length(warmup_steps, total_steps)
    # A partial of a plain function: its state is empty, so that a checkpoint holds plain values only.
    return LambdaLR(optimizer, partial(_factor, milestones=steps, factors=list(factors), warmup=warmup))


def _factor(step: int, *, milestones: list[int], factors: list[float], warmup: int) -> float:
    piece = factors[bisect_right(milestones, step)]
    return piece * step / warmup if step < warmup else piece
