"""Logs the learning rate of each step. Changes nothing."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch.optim import Optimizer


class LearningRate(Callback):
    """Logs `train/lr`, the highest of the parameter groups: with layer-wise decay, that of the head.

    Lightning's own monitor refuses to run without a logger.
    """

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        pl_module.log("train/lr", max(group["lr"] for group in optimizer.param_groups))
