"""The logged rate is the highest of the groups, as it was for the step."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.callback.learning_rate import LearningRate
from noria.tracking.csv_logger import CsvLogger


def test_the_rate_of_each_step(train: Callable, tmp_path: Path) -> None:
    logger = CsvLogger(path=str(tmp_path / "metrics.csv"))
    train(LearningRate(), lr=0.1, max_epochs=2, logger=logger)
    logger.finalize("success")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rates = [float(row["train/lr"]) for row in csv.DictReader(file) if row["train/lr"]]
    assert rates == pytest.approx([0.1 / (1 + step) for step in range(6)])


def test_no_logger_is_needed(train: Callable) -> None:
    trainer, _ = train(LearningRate(), lr=0.1)
    assert float(trainer.callback_metrics["train/lr"]) == pytest.approx(0.1 / 3)
