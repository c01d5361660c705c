"""Every notebook runs from top to bottom on a real, tiny run. The wheel's does in tests/stage/test_feedback_loop.py."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SAYS = {"01_first_run": "mistakes in", "02_read_a_sweep": "these rows and seeds would have shown"}


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {*SAYS, "04_the_wheel"}


@pytest.mark.parametrize("name", SAYS)
def test_notebook_runs(
    name: str, tiny: list[str], noria: Callable[..., int], run_notebook: Callable[..., str], tmp_path: Path
) -> None:
    rates = ("1e-3", "1e-2") if "sweep" in name else ("1e-3",)
    for lr, seed in product(rates, range(len(rates))):
        assert noria(*tiny, f"optimizer.lr={lr}", f"seed={seed}", f"paths.run_dir=runs/fits/{lr}-{seed}") == 0
    runs = tmp_path / "runs"
    assert SAYS[name] in run_notebook(name, NORIA_RUN=runs / "latest", NORIA_SWEEP=runs / "fits")
