"""How many optimiser steps a run takes. Counted here, never asked of Lightning: that drops the loader's state."""

from __future__ import annotations

import math


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
    if isinstance(limit_train_batches, int):
        batches = min(batches_per_epoch, limit_train_batches)
    else:
        batches = int(batches_per_epoch * limit_train_batches)
    by_epochs = math.ceil(batches / accumulate_grad_batches) * max_epochs
    if max_steps < 0:
        return by_epochs
    return max_steps if max_epochs < 0 else min(by_epochs, max_steps)
