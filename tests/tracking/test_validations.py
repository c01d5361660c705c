"""A validation is shown where it took place, and there is one after the last step, wherever in an epoch that is."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

STEPS = 6  # of an epoch


@pytest.fixture
def words(tiny: list[str]) -> list[str]:
    return [
        *tiny,
        "data.batch_size=16",
        "stage.test=false",
        "metric=[accuracy]",
        "callback=[checkpoint,early_stopping]",
    ]


def ended() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    record = json.loads(Path("runs/latest/record.json").read_text())
    return record, record["history"]


def validated(rows: list[dict[str, Any]]) -> list[int]:
    """The steps whose rows hold a validation."""
    assert all(("val/loss" in row) == ("val/accuracy" in row) for row in rows)
    return [row["step"] for row in rows if "val/loss" in row]


def in_the_csv() -> list[int]:
    with Path("runs/latest/metrics.csv").open() as file:
        return [int(row["step"]) + 1 for row in csv.DictReader(file) if row["val/loss"]]


def test_epochs_without_a_validation_show_none_and_the_last_has_one(
    noria: Callable[..., int], words: list[str], read_wandb: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    every = ["trainer.max_epochs=3", "+trainer.check_val_every_n_epoch=2", "logger=[csv,wandb]"]
    assert noria(*words, *every) == 0
    record, rows = ended()
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 6), (2, 12), (3, 18)]
    assert validated(rows) == in_the_csv() == [12, 18]
    written = read_wandb(Path("runs/latest"))
    assert [row["trainer/global_step"] + 1 for row in written.history if "val/loss" in row] == [12, 18]
    assert record["kept"]["steps"] == 18 and record["kept"]["step"] in (12, 18)
    said = capsys.readouterr().out
    assert f"the weights after step {record['kept']['step']} of 18, with the best val/accuracy" in said


def test_max_steps_inside_an_epoch_end_with_a_validation(noria: Callable[..., int], words: list[str]) -> None:
    best = ["monitor.metric=val/loss", "monitor.mode=min"]
    assert noria(*words, *best, "trainer.max_epochs=2", "trainer.max_steps=8", "trainer.val_check_interval=3") == 0
    record, rows = ended()
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (1, 6), (2, 8)]
    assert validated(rows) == in_the_csv() == [3, 6, 8]
    measured = {row["step"]: row["val/loss"] for row in rows}
    assert record["kept"]["step"] == min(measured, key=measured.get), "not the best of all that were measured"
    assert record["kept"]["value"] == pytest.approx(min(measured.values()))
    last = torch.load(Path("runs/latest/checkpoints/last.ckpt"), weights_only=True)
    assert last["global_step"] == 8


def test_an_interval_that_does_not_divide_the_epoch(noria: Callable[..., int], words: list[str]) -> None:
    assert noria(*words, "trainer.max_epochs=2", "trainer.val_check_interval=4") == 0
    _, rows = ended()
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 4), (1, 6), (2, 10), (2, 12)]
    assert validated(rows) == in_the_csv() == [4, 10, 12]


def test_a_run_without_validation_is_left_alone(noria: Callable[..., int], words: list[str]) -> None:
    assert noria(*words, "callback=checkpoint", "trainer.limit_val_batches=0", "trainer.max_steps=4") == 0
    record, rows = ended()
    assert validated(rows) == [] and [row["step"] for row in rows] == [4]
    assert record["kept"] == {"step": 4, "steps": 4} and "val/accuracy" in record["metrics"]
