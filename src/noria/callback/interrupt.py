"""Makes sure that Ctrl-C ends a fit. Knows nothing of what is trained."""

from __future__ import annotations

import signal
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback


class Interrupt(Callback):
    """Raises KeyboardInterrupt again, before the next batch, where the first one was lost.

    One that comes while Python destroys an object (a file that a checkpoint has just been written to) is
    printed and forgotten by Python, and training would go on.
    """

    def __init__(self) -> None:
        self._noted = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not where somebody else listens, or where the signal is to be ignored (nohup).
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)

    def on_train_batch_start(self, *_: Any) -> None:
        self._heed()

    def on_validation_batch_start(self, *_: Any) -> None:
        self._heed()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, *_: Any) -> None:
        self._noted = True
        raise KeyboardInterrupt

    def _heed(self) -> None:
        if self._noted:
            raise KeyboardInterrupt
