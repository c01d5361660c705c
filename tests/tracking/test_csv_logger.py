"""`metrics.csv`: one row a step, new columns for all rows, and after a resume the rows of before."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noria.tracking.csv_logger import CsvLogger


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "metrics.csv"


def test_what_is_logged_at_one_step_is_one_row(path: Path) -> None:
    logger = CsvLogger(path=str(path))
    logger.log_metrics({"train/loss": 2.0, "epoch": 0}, step=0)
    logger.log_metrics({"train/lr": 0.1}, step=0)
    logger.log_metrics({"train/loss": 1.0, "epoch": 0}, step=1)
    assert rows_of(path) == [
        {"epoch": "0", "step": "0", "train/loss": "2.0", "train/lr": "0.1"},
        {"epoch": "0", "step": "1", "train/loss": "1.0", "train/lr": ""},
    ]


def test_a_new_metric_is_a_column_of_the_whole_file(path: Path) -> None:
    logger = CsvLogger(path=str(path))
    for step in range(3):
        logger.log_metrics({"train/loss": float(step)}, step=step)
    logger.log_metrics({"val/loss": 9.0}, step=2)
    rows = rows_of(path)
    assert [row["val/loss"] for row in rows] == ["", "", "9.0"]
    assert [row["train/loss"] for row in rows] == ["0.0", "1.0", "2.0"]


def test_a_row_is_in_the_file_at_once(path: Path) -> None:
    """A killed run has it: nothing waits for `finalize`."""
    CsvLogger(path=str(path)).log_metrics({"train/loss": 2.0}, step=0)
    assert len(rows_of(path)) == 1


def test_a_resumed_run_keeps_the_rows_of_before_and_may_add_columns(path: Path) -> None:
    first = CsvLogger(path=str(path))
    for step in range(5):
        first.log_metrics({"train/loss": float(step)}, step=step)
    second = CsvLogger(path=str(path))  # its checkpoint stood at step 3
    for step in range(3, 7):
        second.log_metrics({"train/loss": 10.0 + step, "val/new": 1.0}, step=step)
    rows = rows_of(path)
    assert [int(row["step"]) for row in rows] == list(range(7)), "no step twice, none left out"
    assert [row["train/loss"] for row in rows] == ["0.0", "1.0", "2.0", "13.0", "14.0", "15.0", "16.0"]
    assert [row["val/new"] for row in rows] == ["", "", "", "1.0", "1.0", "1.0", "1.0"]


def test_half_a_line_that_a_kill_has_left_is_dropped(path: Path) -> None:
    first = CsvLogger(path=str(path))
    for step in range(3):
        first.log_metrics({"train/loss": float(step)}, step=step)
    path.write_text(path.read_text() + ",3,0.12")
    CsvLogger(path=str(path)).log_metrics({"train/loss": 3.0}, step=3)
    assert [row["train/loss"] for row in rows_of(path)] == ["0.0", "1.0", "2.0", "3.0"]


def test_only_the_first_rank_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    CsvLogger(path=str(path)).log_metrics({"train/loss": 2.0}, step=0)
    assert not path.exists()
