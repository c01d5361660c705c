"""Every callback YAML alone in a fit: it trains, saves and loads, and leaves what it is for."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

GROUP = "callback"

# Columns of metrics.csv and files of the run folder that only this callback makes.
SPECIAL = {
    "checkpoint": ([], ["checkpoints/last.ckpt", "checkpoints/best-epoch=0-step=3.ckpt"]),
    "gradient_norm": (["train/gradient_norm"], []),
    "learning_rate": (["train/lr"], []),
}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 6


def test_alone_in_a_fit(life: Callable[..., dict[str, Any]], choice: str) -> None:
    record = life(f"callback=[{choice}]", "trainer.log_every_n_steps=1", "stage.test=false")
    run = Path("runs/latest")
    with (run / "metrics.csv").open(newline="") as file:
        columns = next(csv.reader(file))
    for name, (made_columns, made_files) in SPECIAL.items():
        assert [column for column in made_columns if column in columns] == (made_columns if name == choice else [])
        assert [file for file in made_files if (run / file).is_file()] == (made_files if name == choice else [])
    for path in (record["paths"]["best_checkpoint"], record["paths"]["last_checkpoint"]):
        assert path is None or Path(path).is_file(), "the record names a file that is not there"
