"""A run folder is one run's: of all that come later, or at the same time, none gets it but by resuming."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.common.names import LAST_CHECKPOINT
from noria.tracking.run_folder import claim, is_held, refuse_inside, release


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The folder of a run that was interrupted, with a checkpoint."""
    folder = tmp_path / "old"
    (folder / LAST_CHECKPOINT).parent.mkdir(parents=True)
    (folder / LAST_CHECKPOINT).touch()
    (folder / "record.json").write_text(json.dumps({"stage": "fit", "status": "interrupted"}))
    return folder


def test_a_folder_that_is_claimed_is_free_again_after_its_release(tmp_path: Path) -> None:
    claim(tmp_path / "run", resumes=False)
    with pytest.raises(UserError, match="goes on in this process"):
        claim(tmp_path / "run", resumes=False)
    release(tmp_path / "run")
    claim(tmp_path / "run", resumes=False)  # it left nothing
    release(tmp_path / "run")


def test_only_a_resume_gets_the_folder_of_a_run(old: Path) -> None:
    with pytest.raises(UserError, match=r"the folder of another run \(fit, interrupted\).*resume="):
        claim(old, resumes=False)
    claim(old, resumes=True)
    release(old)


def test_a_finished_run_is_not_offered_to_be_resumed(old: Path) -> None:
    (old / "record.json").write_text(json.dumps({"stage": "fit", "status": "done"}))
    with pytest.raises(UserError) as refused:
        claim(old, resumes=False)
    assert "resume=" not in str(refused.value)


@pytest.mark.parametrize("name", ["config.yaml", "predictions.parquet", "artifact", "checkpoints"])
def test_files_that_a_run_would_write_over_are_not_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"holds {name} already"):
        claim(tmp_path, resumes=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_inside_a_run_is_for_that_run_alone(old: Path) -> None:
    with pytest.raises(UserError, match="lies inside the folder of another run"):
        claim(old / "checkpoints" / "mine", resumes=False)
    with pytest.raises(UserError, match="lies inside"):
        refuse_inside(old / "trial")
    claim(old, resumes=True)
    claim(old / "fit", resumes=False)  # a fit inside a turn
    release(old / "fit")
    release(old)


def _claims(folder: Path, resumes: bool, barrier: object, said: Connection) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        claim(folder, resumes=resumes)
    except UserError as error:
        said.send(str(error))
    else:
        (folder / "record.json").write_text("{}")
        said.send("mine")
        signal.pause()


@pytest.mark.parametrize("resumes", [False, True])
def test_of_several_that_come_at_the_same_time_one_gets_it(resumes: bool, old: Path, tmp_path: Path) -> None:
    context, folder = multiprocessing.get_context("fork"), old if resumes else tmp_path / "new"
    barrier, (here, there) = context.Barrier(4), context.Pipe(duplex=False)
    some = [context.Process(target=_claims, args=(folder, resumes, barrier, there), daemon=True) for _ in range(4)]
    for one in some:
        one.start()
    said = sorted(here.recv() for _ in some)
    assert said.count("mine") == 1 and all("another" in line.lower() for line in said if line != "mine"), said
    assert is_held(folder)
    for one in some:  # killed, it holds nothing
        if one.is_alive():
            os.kill(one.pid or 0, signal.SIGKILL)
        one.join()
    assert not is_held(folder)
    claim(folder, resumes=True)
    release(folder)
