"""Every debug overlay in a whole run, and what each is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

GROUP = "debug"


def of_overfit(record: dict[str, Any]) -> None:
    assert record["history"][0]["train/loss"] > 0.5
    assert record["history"][-1]["train/loss"] < 0.05
    assert len(record["history"]) == 60 and record["data"]["rows"]["train"] == 32


def of_profiler(record: dict[str, Any]) -> None:
    reports = list(Path("runs/latest").glob("*profile*"))
    assert len(reports) == 1 and "run_training_epoch" in reports[0].read_text()


def of_smoke(record: dict[str, Any]) -> None:
    assert record["history"][0]["step"] == 2 and len(record["history"]) == 1
    assert max(record["data"]["rows"].values()) == record["config"]["data"]["eval_limit"] == 64
    assert "test/accuracy" in record["metrics"]


SPECIAL = {
    "overfit": (["trainer.max_epochs=60", "optimizer.lr=5e-3"], of_overfit),
    "profiler": ([], of_profiler),
    "smoke": ([], of_smoke),
}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 3


def test_a_run_with_it(life: Callable[..., dict[str, Any]], choice: str) -> None:
    words, look = SPECIAL.get(choice, ([], lambda record: None))
    look(life(f"debug={choice}", *words))
