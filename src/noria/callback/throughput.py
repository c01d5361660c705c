"""Counts examples, tokens and seconds of training. Changes nothing."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

COUNTED = ("examples", "computed", "seconds")


class Throughput(Callback):
    """Examples/s and useful tokens/s of training, validation and checkpoints left out.

    Padding is not useful: tokens are those that the attention mask lets through. Waste is the computed
    tokens over the useful ones. On several ranks the figures are those of one rank times the ranks.
    """

    def __init__(self) -> None:
        self.examples = 0
        self.computed = 0
        self.seconds = 0.0
        self._useful: torch.Tensor | int = 0
        self._mark = 0.0
        self._ranks = 1

    @property
    def examples_per_second(self) -> float:
        return self._ranks * self.examples / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        return self._ranks * int(self._useful) / self.seconds if self.seconds else 0.0

    @property
    def waste(self) -> float:
        """Computed over useful tokens; 1 is none."""
        return self.computed / int(self._useful) if int(self._useful) else 1.0

    def summary(self) -> dict[str, float]:
        """For the record: rates, totals and seconds of training."""
        return {
            "examples_per_second": self.examples_per_second,
            "tokens_per_second": self.tokens_per_second,
            "padding_waste": self.waste,
            "examples": self._ranks * self.examples,
            "seconds": self.seconds,
        }

    def state_dict(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in COUNTED}, "useful": int(self._useful)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in COUNTED:
            setattr(self, name, state_dict[name])
        self._useful = state_dict["useful"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._ranks = trainer.world_size

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = 0.0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._mark = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
        if not self._mark:  # the first batch after a pause; waiting for data counts from the second on
            self._mark = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        mask = batch["attention_mask"]
        self.examples += mask.shape[0]
        self.computed += mask.numel()
        self._useful = self._useful + mask.sum()  # stays on its device: nothing waits
        now = time.perf_counter()
        self.seconds += now - self._mark
        self._mark = now
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if (trainer.global_step + 1) % every == 0 and trainer.loggers:
            figures = {
                "throughput/examples_per_second": self.examples_per_second,
                "throughput/tokens_per_second": self.tokens_per_second,
                "throughput/padding_waste": self.waste,
            }
            pl_module.log_dict(figures)
