"""The progress bar: steps, examples/s, tokens/s, time left, losses. Only shows."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from noria.callback.throughput import Throughput


class Progress(RichProgressBar):
    """Lightning's Rich bar with rates that mean something: examples and useful tokens a second."""

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        return [
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        ]

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        # Counted from 1, as in the table of epochs; padded, as Lightning does, to the bar of the validation.
        of = f"/{last}" if last and last > 0 else ""
        return f"Epoch {current_epoch + 1}{of}".ljust(len(self.validation_description))

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        rates = next((c for c in trainer.callbacks if isinstance(c, Throughput)), None)  # type: ignore[attr-defined]
        if rates and rates.seconds:
            metrics["examples/s"] = f"{rates.examples_per_second:.1f}"
            metrics["tokens/s"] = f"{rates.tokens_per_second:,.0f}"
        return metrics
