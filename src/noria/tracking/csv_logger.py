"""`metrics.csv`: every logged number, one row a step. A resumed run goes on where its checkpoint stood."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only


class CsvLogger(Logger):
    """Lightning's CSVLogger deletes what an earlier part of the run has written; this one goes on.

    Columns are `step`, `epoch` and the metrics by name; a new metric adds a column to the whole file. A row is
    written as it comes, so that a killed run has it. Rows of an earlier part that are made again are replaced.
    """

    def __init__(self, *, path: str) -> None:
        super().__init__()
        self._path = Path(path)
        self._columns: list[str] | None = None
        self._row: dict[str, Any] = {}
        self._place = 0  # where in the file the row begins

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
        if self._columns is None:
            self._columns = self._go_on_at(step or 0)
        if self._row.get("step") != step:
            self._row, self._place = {}, self._path.stat().st_size
        self._row |= {"step": step, **metrics}
        with self._path.open("r+", newline="", encoding="utf-8") as file:
            file.truncate(self._place)  # what was known of this step before
        if new := [name for name in self._row if name not in self._columns]:
            self._columns += new
            self._rewrite(self._read())
            self._place = self._path.stat().st_size
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(self._row)

    def _go_on_at(self, step: int) -> list[str]:
        """The columns of the file, in which only what lies before `step` is left."""
        rows = [row for row in self._read() if (row["step"] or "").isdecimal() and int(row["step"]) < step]
        self._columns = list(rows[0]) if rows else ["epoch", "step"]
        self._rewrite(rows)
        return self._columns

    def _read(self) -> list[dict[str, str]]:
        if not self._path.is_file():
            return []
        whole, _, _ = self._path.read_text(encoding="utf-8").rpartition("\n")  # a kill may have left half a line
        return list(csv.DictReader(whole.splitlines(), restval=""))

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".tmp")
        with new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns or [], restval="")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(new, self._path)
