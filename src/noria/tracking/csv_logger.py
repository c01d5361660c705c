"""`metrics.csv`: every logged number, one row a step. Appends, so that a resumed run loses no row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class CsvLogger(Logger):
    """Lightning's CSVLogger deletes what an earlier part of the run has written; this one goes on.

    Columns are `step`, `epoch` and the metrics by name; a new metric adds a column to the whole file.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self._path = Path(path)
        self._columns: list[str] | None = None
        self._pending: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> CsvLogger:
        return self

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """The config has a file of its own."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if self._pending and self._pending.get("step") != step:
            self._write()
        self._pending |= {"step": step, **metrics}

    @rank_zero_only
    def save(self) -> None:
        self._write()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        self._write()

    def _write(self) -> None:
        row, self._pending = self._pending, {}
        if not row:
            return
        if self._columns is None:
            self._columns = self._read_columns()
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite_header()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def _read_columns(self) -> list[str]:
        if not self._path.is_file():
            return ["epoch", "step"]
        with self._path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), ["epoch", "step"])

    def _rewrite_header(self) -> None:
        rows: list[dict[str, str]] = []
        if self._path.is_file():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns or [], restval="")
            writer.writeheader()
            writer.writerows(rows)
