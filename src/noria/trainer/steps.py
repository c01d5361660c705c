"""How many optimiser steps a run takes. Counted here, never asked of Lightning: that drops the loader's state."""

from __future__ import annotations

import math

from noria.common.errors import UserError


def total_steps(
    batches_per_epoch: int,
    *,
    max_epochs: int,
    max_steps: int = -1,
    accumulate_grad_batches: int = 1,
    limit_train_batches: int | float = 1.0,
) -> int:
    """Optimiser steps from first to last; the last, shorter accumulation of an epoch is a step too.

    `limit_train_batches` follows Lightning: an int is a number of batches, a float a share of the epoch.
    """
    batches = _limited(batches_per_epoch, limit_train_batches)
    by_epochs = math.ceil(batches / accumulate_grad_batches) * max_epochs
    if max_steps < 0:
        return by_epochs
    return max_steps if max_epochs < 0 else min(by_epochs, max_steps)


def refuse_empty(
    steps: int,
    train_batches: int,
    val_batches: int,
    limit_train_batches: int | float,
    limit_val_batches: int | float,
    val_check_interval: int | float,
) -> None:
    """Refuses limits that leave no step to train or no batch to validate on; Lightning finds out too late.

    Args:
        steps: what `total_steps` gives.
        train_batches, val_batches: of an epoch, before the limits.

    Raises:
        UserError: names the key.
    """
    if steps < 1:
        raise UserError(
            f"There is not one training step: an epoch has {train_batches} batches here. Raise "
            "trainer.limit_train_batches or trainer.max_epochs."
        )
    if not val_batches or not limit_val_batches:
        return
    if not _limited(val_batches, limit_val_batches):
        raise UserError(
            f"trainer.limit_val_batches={limit_val_batches} of {val_batches} batches is less than one: raise it, or "
            "take 0 to leave validation out."
        )
    batches = _limited(train_batches, limit_train_batches)
    if isinstance(val_check_interval, int) and val_check_interval > batches:
        raise UserError(
            f"trainer.val_check_interval={val_check_interval}, but an epoch has {batches} batches here: take that many "
            "at most, or a share such as 0.5."
        )


def _limited(batches: int, limit: int | float) -> int:
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)
