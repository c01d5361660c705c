"""The table of epochs: training loss, validation loss, validation metrics. Printed as it grows."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.table import Table

from noria.common.console import get_console
from noria.task.learner import Learner

TITLES = {
    "train/loss": "training loss",
    "val/loss": "validation loss",
    "val/perplexity": "validation perplexity per token",
}


def title(metric: str) -> str:
    """`val/accuracy` -> `validation accuracy`."""
    return TITLES.get(metric, metric.replace("val/", "validation ").replace("train/", "training "))


class EpochTable(Callback):
    """Keeps the rows, prints each, and carries them through a checkpoint.

    A row says what was known after a step: at the end of each epoch, and after each validation inside one. What a
    validation measured stands in the row of the step after which it took place, and in no other.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._started = time.perf_counter()
        self._header = ""
        self._printed = 0  # rows

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]
        self._printed = len(self.rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.is_global_zero:
            self._print(ended=False)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._add(trainer, pl_module, {k: v.item() for k, v in trainer.callback_metrics.items() if k[:4] == "val/"})

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        at = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        if not self.rows or not at.items() <= self.rows[-1].items():  # no validation has just made it
            self._add(trainer, pl_module, {})
        # At once: what is only queued would be lost behind the epoch's checkpoint.
        logged: dict[str, float] = {"epoch": trainer.current_epoch}
        if (loss := self.rows[-1].get("train/loss")) is not None:
            logged["train/loss_epoch"] = loss
        for logger in trainer.loggers:
            logger.log_metrics(logged, _step(trainer))
        if trainer.is_global_zero:
            self._print(ended=True)

    def _add(self, trainer: pl.Trainer, module: pl.LightningModule, measured: dict[str, float]) -> None:
        assert isinstance(module, Learner)
        row: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        if (loss := module.train_loss()) is not None:  # of the epoch so far
            row["train/loss"] = loss
        self.rows.append({**row, **measured, "seconds": time.perf_counter() - self._started})

    def _print(self, ended: bool) -> None:
        """Prints the rows that are new; the last of them ends its epoch, or stands inside it."""
        for row in self.rows[self._printed :]:
            header = " | ".join(["epoch", *(title(name) for name in self.columns)])
            if header != self._header:
                get_console().print(header, highlight=False)
            self._header = header
            values = " | ".join(
                f"{row[name]:.4f}".rjust(len(title(name))) if name in row else " " * len(title(name))
                for name in self.columns
            )
            last = ended and row is self.rows[-1]
            get_console().print(f"{_place(row, last):>5} | {values}", highlight=False)
        self._printed = len(self.rows)

    @property
    def columns(self) -> list[str]:
        """Metric names in the order of the table: training loss, validation loss, the rest."""
        measured = {name: None for row in self.rows for name in row if name.startswith("val/")}
        first = ["train/loss", *(["val/loss"] if "val/loss" in measured else [])]
        return [*first, *(name for name in measured if name not in first)]

    def table(self) -> Table:
        """The whole table, for the end of the run."""
        table = Table("epoch", *(title(name) for name in self.columns), "seconds", title="Training")
        for row, following in zip(self.rows, [*self.rows[1:], None], strict=True):
            goes_on = following and following["epoch"] == row["epoch"] and following["step"] > row["step"]
            cells = [f"{row[name]:.4f}" if name in row else "" for name in self.columns]
            table.add_row(_place(row, not goes_on), *cells, f"{row['seconds']:.1f}")
        return table


def _place(row: dict[str, Any], last: bool) -> str:
    """What the first column says: the epoch in its last row, the step in those before."""
    return str(row["epoch"]) if last else f"step {row['step']}"


def _step(trainer: pl.Trainer) -> int:
    """The step that Lightning logs the last batch of an epoch under."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped - 1
