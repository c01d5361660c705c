"""Who runs a trial, and where."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from noria.sweep.claim import Taken, claimed, is_taken, look_up


def leave(folder: Path, status: str, checkpoint: bool = False) -> None:
    folder.mkdir()
    (folder / "record.json").write_text(json.dumps({"status": status, "stage": "fit"}))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").touch()


def test_a_new_trial_has_a_new_folder(tmp_path):
    place = look_up(tmp_path, "abc")
    assert place.folder == tmp_path / "abc" and not place.finished and not place.resumes


@pytest.mark.parametrize("status", ["done", "pruned"])
def test_a_finished_trial_is_kept(tmp_path, status):
    leave(tmp_path / "abc", status)
    assert look_up(tmp_path, "abc").finished


def test_what_a_search_gave_up_is_gone_on_with_where_nothing_gives_up(tmp_path):
    leave(tmp_path / "abc", "pruned", checkpoint=True)
    place = look_up(tmp_path, "abc", prunes=False)
    assert not place.finished and place.resumes and place.folder == tmp_path / "abc"
    leave(tmp_path / "abd", "pruned")
    place = look_up(tmp_path, "abd", prunes=False)
    assert not place.finished and not place.resumes and place.folder == tmp_path / "abd.2"
    leave(tmp_path / "abd.2", "done")
    assert look_up(tmp_path, "abd").finished and look_up(tmp_path, "abd", prunes=False).folder.name == "abd.2"


@pytest.mark.parametrize("status", ["running", "killed", "timed out", "terminated", "interrupted"])
def test_a_stopped_trial_goes_on_from_its_checkpoint(tmp_path, status):
    leave(tmp_path / "abc", status, checkpoint=True)
    place = look_up(tmp_path, "abc")
    assert place.folder == tmp_path / "abc" and place.resumes and not place.finished


@pytest.mark.parametrize(("status", "checkpoint"), [("failed", True), ("failed", False), ("killed", False)])
def test_no_folder_is_written_over(tmp_path, status, checkpoint):
    leave(tmp_path / "abc", status, checkpoint)
    assert look_up(tmp_path, "abc").folder == tmp_path / "abc.2"
    leave(tmp_path / "abc.2", "failed")
    place = look_up(tmp_path, "abc")
    assert place.folder == tmp_path / "abc.3" and not place.resumes
    leave(tmp_path / "abc.3", "done")
    assert look_up(tmp_path, "abc").finished


def hold(folder: Path, held, end) -> None:
    with claimed(folder, "abc"):
        held.set()
        end.wait(30)


def test_one_process_at_a_time_and_none_when_it_is_gone(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path, held, end))
    other.start()
    assert held.wait(30)
    assert is_taken(tmp_path, "abc") and not is_taken(tmp_path, "abd")
    with pytest.raises(Taken), claimed(tmp_path, "abc"):
        pass
    other.kill()  # it cannot hand back anything
    other.join()
    with claimed(tmp_path, "abc") as place:
        assert place.folder == tmp_path / "abc"
