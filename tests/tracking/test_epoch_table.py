"""One row an epoch, printed as it grows, carried through a checkpoint."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console

from noria.tracking.epoch_table import EpochTable, title

ROWS = [
    {"epoch": 1, "step": 3, "train/loss": 0.7, "val/f1": 0.25, "val/loss": 0.8, "seconds": 1.0},
    {"epoch": 2, "step": 6, "train/loss": 0.6, "val/f1": 0.5, "val/loss": 0.75, "seconds": 1.0},
]


def test_titles() -> None:
    assert title("train/loss") == "training loss" and title("val/loss") == "validation loss"
    assert title("val/accuracy") == "validation accuracy"


def test_losses_come_first_and_an_epoch_without_validation_has_gaps() -> None:
    table = EpochTable()
    table.rows = [{"epoch": 1, "step": 3, "train/loss": 0.9, "seconds": 1.0}, *ROWS]
    assert table.columns == ["train/loss", "val/loss", "val/f1"]
    out = io.StringIO()
    Console(file=out, width=120).print(table.table())
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.getvalue().splitlines() if "│" in line]
    assert lines == [
        ["1", "0.9000", "", "", "1.0"], ["1", "0.7000", "0.8000", "0.2500", "1.0"],
        ["2", "0.6000", "0.7500", "0.5000", "1.0"],
    ]  # fmt: skip


def test_the_rows_go_through_a_checkpoint(tmp_path: Path) -> None:
    before, after = EpochTable(), EpochTable()
    before.rows = ROWS
    torch.save(before.state_dict(), tmp_path / "rows.pt")
    after.load_state_dict(torch.load(tmp_path / "rows.pt", weights_only=True))
    assert after.rows == ROWS


def test_the_rows_of_a_fit(noria: Callable[..., int], tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["trainer.max_epochs=2", "metric=[accuracy]", "stage.test=false", "data.batch_size=16"]
    assert noria(*tiny, *words) == 0
    rows = json.loads(Path("runs/latest/record.json").read_text())["history"]
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 6), (2, 12)]
    assert all(set(row) == {"epoch", "step", "train/loss", "val/loss", "val/accuracy", "seconds"} for row in rows)
    said = capsys.readouterr().out
    assert said.count("epoch | training loss | validation loss | validation accuracy") == 1
    for row in rows:
        line = next(line for line in said.splitlines() if line.startswith(f"    {row['epoch']} |"))
        assert [float(cell) for cell in line.split("|")[1:]] == [
            pytest.approx(row[name], abs=1e-4) for name in ("train/loss", "val/loss", "val/accuracy")
        ]
