"""Every logger YAML in a fit: no network, no prompt, its files are in the run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GROUP = "logger"

# What lies in the run folder because of this logger.
SPECIAL = {"csv": ["metrics.csv"], "none": [], "tensorboard": ["tensorboard/events*"], "wandb": ["wandb/**/*.wandb"]}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 4


def test_a_fit_with_it(
    life: Callable[..., dict[str, Any]], choice: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    life(f"logger={choice}", "stage.test=false")
    run = Path("runs/latest")
    for name, patterns in SPECIAL.items():
        for pattern in patterns:
            assert bool(list(run.glob(pattern))) == (name == choice), pattern
