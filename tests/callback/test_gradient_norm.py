"""The logged norm is that of the gradients before clipping."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.callback.gradient_norm import GradientNorm
from noria.tracking.csv_logger import CsvLogger


def norm_by_hand(weight: float, offset: float, lengths: list[int]) -> float:
    errors = [weight * x + offset - x for x in lengths]
    by_weight = 2 * sum(e * x for e, x in zip(errors, lengths, strict=True)) / len(lengths)
    by_offset = 2 * sum(errors) / len(lengths)
    return math.hypot(by_weight, by_offset)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_the_norm_by_hand(train: Callable, clip: float | None) -> None:
    trainer, _ = train(GradientNorm(), max_steps=1, gradient_clip_val=clip)
    logged = float(trainer.callback_metrics["train/gradient_norm"])
    assert logged == pytest.approx(norm_by_hand(0.5, 0.0, [3, 1, 4]), rel=1e-6)
    assert logged > 1


def test_it_is_logged_on_the_steps_that_are_logged(train: Callable, tmp_path: Path) -> None:
    import csv

    logger = CsvLogger(path=str(tmp_path / "metrics.csv"))
    train(GradientNorm(), max_epochs=2, logger=logger, log_every_n_steps=2)
    logger.finalize("success")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["train/gradient_norm"]] == [1, 3, 5]
