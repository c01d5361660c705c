"""Tells how far a fit is, for those who look on from elsewhere. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

EVERY = 1.0  # seconds


class Heartbeat(Callback):
    """Reports epoch (with its part that is done), epochs, step, the best value of a metric, and seconds left.

    Args:
        report: takes these facts, at most once a second.
        metric, mode: of which the best is told.
    """

    def __init__(self, report: Callable[[dict[str, Any]], None], metric: str, mode: str) -> None:
        self._report, self._metric, self._better = report, metric, max if mode == "max" else min
        self._best: float | None = None
        self._told = 0.0
        self._start: tuple[float, float] | None = None  # when this part of the run began, and how much was done then

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if now - self._told < EVERY or not trainer.is_global_zero:
            return
        self._told = now
        epoch = trainer.current_epoch + (batch_idx + 1) / trainer.num_training_batches
        limits = ((epoch, trainer.max_epochs or -1), (trainer.global_step, trainer.max_steps))
        done = max([at / limit for at, limit in limits if limit > 0], default=0.0)
        self._start = self._start or (now, done)
        began, before = self._start
        left = (now - began) / (done - before) * (1 - done) if done > before else None
        facts = {"epoch": round(epoch, 3), "epochs": trainer.max_epochs, "step": trainer.global_step}
        self._report({**facts, "best": self._best, "seconds_left": None if left is None else round(left, 1)})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value = trainer.callback_metrics.get(self._metric)
        if value is not None:
            known = [] if self._best is None else [self._best]
            self._best = self._better(float(value), *known) if known else float(value)
