"""Where in an epoch a training batch stands. Knows nothing of what is trained."""

from __future__ import annotations

import lightning.pytorch as pl


def validation_follows(trainer: pl.Trainer, batch_idx: int) -> bool:
    """Whether validation may come before the next batch of this epoch.

    A checkpoint from here would go on without it: Lightning (2.6) takes it for done.
    """
    if trainer.should_stop:  # after the last step (`LastValidation`)
        return True
    every = trainer.val_check_batch
    return every is not None and (batch_idx + 1) % every == 0
