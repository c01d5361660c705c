"""Every notebook runs from top to bottom on a real, tiny run."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SAYS = {"01_first_run": "mistakes in", "02_read_a_sweep": "these rows and seeds would have shown"}


def test_there_are_notebooks() -> None:
    assert {path.stem for path in NOTEBOOKS} == set(SAYS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(
    path: Path, tiny: list[str], noria: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = ("1e-3", "1e-2") if "sweep" in path.stem else ("1e-3",)
    for lr, seed in product(rates, range(len(rates))):
        assert noria(*tiny, f"optimizer.lr={lr}", f"seed={seed}", f"paths.run_dir=runs/fits/{lr}-{seed}") == 0
    monkeypatch.setenv("NORIA_RUN", str(tmp_path / "runs" / "latest"))
    monkeypatch.setenv("NORIA_SWEEP", str(tmp_path / "runs" / "fits"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}})
    client.execute(env=dict(os.environ))
    shown = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    assert SAYS[path.stem] in shown
