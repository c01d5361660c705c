"""The progress bar: steps, time left, rates, losses, what is wasted and waited for, memory. Only shows."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from noria.callback.throughput import Throughput
from noria.common.console import get_console

BAR = 6  # columns of the terminal: a narrow one has to hold the numbers too
LEFT = len("-:--:-- left")
EVERY = 0.2  # seconds between two looks at the numbers: reading one off a GPU waits for all that is queued there


class Progress(RichProgressBar):
    """Lightning's Rich bar with rates that mean something, in one line: what does not fit is left out, last first."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = 0.0

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        return [
            TextColumn("[progress.description]{task.description}"),
            BarColumn(BAR),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
        ]

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        # Counted from 1, as in the table of epochs; padded, as Lightning does, to the bar of the validation.
        of = f"/{last}" if last and last > 0 else ""
        return f"Epoch {current_epoch + 1}{of}".ljust(len(self.validation_description))

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        last = trainer.is_last_batch or trainer.global_step == trainer.max_steps
        if last or now - self._shown > EVERY:
            self._shown = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        loss = {"loss": shown.pop("train/loss")} if "train/loss" in shown else {}
        rates = next((c for c in trainer.callbacks if isinstance(c, Throughput)), None)  # type: ignore[attr-defined]
        if rates is None or not rates.seconds:
            return self._fitting({**loss, **shown})
        share = rates.share_of_peak
        return self._fitting(
            {
                "examples/s": f"{rates.examples_per_second:.1f}",
                **({} if share is None else {"peak": f"{share:.0%}"}),
                **loss,
                "tokens/s": f"{rates.tokens_per_second:,.0f}",
                **shown,
                "waste": f"{rates.waste:.2f}",
                "data wait": f"{rates.data_wait_share:.0%}",
                "MiB": f"{rates.peak_memory_mib:,.0f}",
            }
        )

    def _fitting(self, metrics: dict[str, Any]) -> dict[str, Any]:
        """The first of them that one line holds behind the columns."""
        steps = len(f"{self.total_train_batches}")
        description = self._get_train_description(self.trainer.current_epoch)
        room = get_console().width - len(description) - BAR - (2 * steps + 1) - LEFT - len("    ")
        kept = {}
        for name, value in metrics.items():
            value = value if isinstance(value, str) else f"{value:{self.theme.metrics_format}}"
            room -= len(f"{name}: {value} ")
            if room < -1:  # no space is needed behind the last
                break
            kept[name] = value
        return kept
