"""Each run has a folder of its own, also in one job of a cluster, and whoever names it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


def records(folder: Path) -> dict[Path, dict[str, Any]]:
    return {path.parent: json.loads(path.read_text()) for path in folder.glob("runs/*/*/record.json")}


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


@pytest.fixture
def run(fitted: Path, tmp_path: Path) -> Path:
    """The folder of a run that is done."""
    return Path(shutil.copytree(fitted, tmp_path / "runs/default/mine"))


def test_a_loop_over_seeds_in_one_slurm_job_leaves_a_run_each(noria, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    for seed in (0, 1):
        assert noria(*tiny, f"seed={seed}", "stage.test=false") == 0
    runs = records(tmp_path)
    assert sorted(record["seed"] for record in runs.values()) == [0, 1]
    assert {record["job"] for record in runs.values()} == {"4711"}
    assert all(folder.name.startswith("job-4711-") for folder in runs)


@pytest.mark.parametrize("key", ["hydra.run.dir", "paths.run_dir"])
@pytest.mark.parametrize("words", [[], ["stage=evaluate", "artifact=runs/default/mine/artifact"]])
def test_a_folder_that_is_named_again_is_refused(key, words, run, noria, tiny, capsys):
    before = contents(run)
    assert noria(*(words or tiny), f"{key}=runs/default/mine") == 2
    said = capsys.readouterr().err
    assert "is the folder of another run (fit, done)" in said and "Traceback" not in said
    assert contents(run) == before


def test_a_run_or_a_sweep_inside_the_folder_of_another_is_refused(run, noria, tiny, capsys):
    before = contents(run)
    assert noria(*tiny, "hydra.run.dir=runs/default/mine/artifact/again") == 2
    assert noria(*tiny, "seed=1,2", "hydra.sweep.dir=runs/default/mine", "-m") == 2
    assert capsys.readouterr().err.count("lies inside the folder of another run") == 2
    assert contents(run) == before


def test_a_job_that_slurm_queues_again_goes_on_with_its_own_run(run, noria, tiny, tmp_path, monkeypatch, capsys):
    def change(folder: Path, **facts: Any) -> None:
        record = json.loads((folder / "record.json").read_text())
        (folder / "record.json").write_text(json.dumps(record | facts))

    other = Path(shutil.copytree(run, run.with_name("other")))
    change(run, status="terminated", job="4711", started="2020-01-01T00:00:00+00:00")
    change(other, status="terminated", job="4712", started="2020-01-02T00:00:00+00:00")
    before = contents(other)
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert noria(*tiny) == 0
    runs = records(tmp_path)
    assert len(runs) == 2 and runs[run]["status"] == "done" and len(runs[run]["resumed"]) == 1
    assert "runs/default/mine" in capsys.readouterr().err, "it says what it goes on with"
    assert contents(other) == before


def test_a_run_does_not_take_the_folder_of_all_runs(noria, tiny, tmp_path, capsys):
    """Every later run would lie inside it, and be refused."""
    assert noria(*tiny, "paths.run_dir=runs") == 2
    assert "runs is the folder of all runs" in " ".join(capsys.readouterr().err.split())
    assert tmp_path.is_dir()  # nothing lies in it, and it is where the command was typed
    (tmp_path / "runs").mkdir(exist_ok=True)
    assert noria(*tiny, "hydra.run.dir=.") == 2
    assert "holds the folder of all runs (paths.runs=runs)" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.rglob("record.json"))
