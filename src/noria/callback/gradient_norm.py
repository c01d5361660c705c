"""Logs the norm of the gradients before they are clipped. Changes nothing."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer


class GradientNorm(Callback):
    """Logs `train/gradient_norm`, the 2-norm over all gradients, on the steps that are logged."""

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        # The loggers write after the step is counted; on the others the norm would be computed for nothing.
        if (trainer.global_step + 1) % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        pl_module.log("train/gradient_norm", norm.full_tensor() if isinstance(norm, DTensor) else norm)
