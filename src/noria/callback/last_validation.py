"""Has a run validate after its last step, wherever in an epoch that is. Knows nothing of what is measured."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class LastValidation(Callback):
    """No step stays unmeasured, and so none is lost to the artifact, which is the best that was measured.

    Without it what follows the last validation that was due is trained for nothing: where `trainer.max_steps` ends
    inside an epoch, `trainer.val_check_interval` does not divide it, or `trainer.check_val_every_n_epoch` leaves the
    last epoch out. A run that does not validate is left alone.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step >= pl_module.total_steps:  # type: ignore[operator]
            # Lightning validates when it is told to stop, in epochs that are to be validated.
            trainer.check_val_every_n_epoch = 1
            trainer.should_stop = True
