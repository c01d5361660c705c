"""One row an epoch: training loss, validation loss, validation metrics. Printed as it grows."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from rich.table import Table

from noria.common.console import get_console
from noria.task.base import Task

TITLES = {"train/loss": "training loss", "val/loss": "validation loss"}


def title(metric: str) -> str:
    """`val/accuracy` -> `validation accuracy`."""
    return TITLES.get(metric, metric.replace("val/", "validation ").replace("train/", "training "))


class EpochTable(Callback):
    """Keeps the rows, prints each at the end of its epoch, and carries them through a checkpoint."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Task)
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "train/loss": pl_module.train_loss()}
        row |= {k: v.item() for k, v in trainer.callback_metrics.items() if k.startswith("val/")}
        row["seconds"] = time.perf_counter() - self._started
        self.rows.append(row)
        for logger in trainer.loggers:  # at once: what is only queued would be lost behind the epoch's checkpoint
            logger.log_metrics({"epoch": trainer.current_epoch, "train/loss_epoch": row["train/loss"]}, _step(trainer))
        if trainer.is_global_zero:
            header = " | ".join(["epoch", *(title(name) for name in self.columns)])
            if len(self.rows) == 1:
                get_console().print(header, highlight=False)
            values = " | ".join(
                f"{row[name]:.4f}".rjust(len(title(name))) if name in row else " " * len(title(name))
                for name in self.columns
            )
            get_console().print(f"{row['epoch']:>5} | {values}", highlight=False)

    @property
    def columns(self) -> list[str]:
        """Metric names in the order of the table: training loss, validation loss, the rest."""
        measured = {name: None for row in self.rows for name in row if name.startswith("val/")}
        first = ["train/loss", *(["val/loss"] if "val/loss" in measured else [])]
        return [*first, *(name for name in measured if name not in first)]

    def table(self) -> Table:
        """The whole table, for the end of the run."""
        table = Table("epoch", *(title(name) for name in self.columns), "seconds", title="Training")
        for row in self.rows:
            cells = [f"{row[name]:.4f}" if name in row else "" for name in self.columns]
            table.add_row(str(row["epoch"]), *cells, f"{row['seconds']:.1f}")
        return table


def _step(trainer: pl.Trainer) -> int:
    """The step that Lightning logs the last batch of an epoch under."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped - 1
