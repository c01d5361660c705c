"""Ends a run whose loss is no number, and says what usually helps. Knows nothing of the model."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from noria.callback.health import diverged


class StopOnNan(Callback):
    """Raises RunError at the first loss that is NaN or infinite.

    The training loss is looked at one step late, so that a GPU is never waited for.
    """

    def __init__(self) -> None:
        self._previous: torch.Tensor | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        previous, self._previous = self._previous, outputs["loss"].detach()
        if previous is not None:
            self._check("training", previous, trainer, pl_module)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._previous is not None:
            self._check("training", self._previous, trainer, pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if (loss := trainer.callback_metrics.get("val/loss")) is not None:  # the last step may have broken the weights
            self._check("validation", loss, trainer, pl_module)

    def _check(self, kind: str, loss: torch.Tensor, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not torch.isfinite(loss):
            raise diverged(f"The {kind} loss became {loss.item()}", trainer, pl_module)
