"""What is zero when training begins stays zero."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

MATRIX = 2


class KeepZeros(Callback):
    """Sets the weights back to zero, after every step, that were zero before the first: a pruned network stays one.

    A resumed run finds them in its checkpoint. Only matrices are looked at: a norm's bias begins at zero, too.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[nn.Parameter, Tensor]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trained = [weight for weight in pl_module.parameters() if weight.requires_grad and weight.ndim >= MATRIX]
        self._kept = [(weight, (weight.detach() == 0)) for weight in trained]
        self._kept = [(weight, zeros) for weight, zeros in self._kept if zeros.any()]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        for weight, zeros in self._kept:
            weight.data.masked_fill_(zeros, 0)
