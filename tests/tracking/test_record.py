"""The record: whole at every moment, goes on after a resume, and says in plain words what cannot be read."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noria.common.errors import UserError
from noria.tracking.record import Record, link_latest
from noria.tracking.record_file import read_record, write_json

FACTS = {"stage": "fit", "seed": 3, "wandb": {"id": "abc"}}


def test_from_start_to_end(tmp_path: Path) -> None:
    record = Record(tmp_path / "run", FACTS)
    written = read_record(tmp_path / "run")
    assert written["status"] == "running" and written["error"] is None and written["seed"] == 3
    assert written["metrics"] == {} and written["resumed"] == [] and "ended" not in written
    assert written["hardware"]["threads"] >= 1 and written["versions"]["torch"]

    record.time("fit_seconds", 1.5)
    record.time("fit_seconds", 2.0)
    record.update(data={"rows": 7})
    record.finish("failed", "RunError: enough")
    written = read_record(tmp_path / "run")
    assert written["timings"]["fit_seconds"] == 3.5 and written["timings"]["total_seconds"] >= 0
    assert written["data"] == {"rows": 7}
    assert (written["status"], written["error"]) == ("failed", "RunError: enough") and written["ended"]


def test_a_resumed_part_goes_on_with_the_record(tmp_path: Path) -> None:
    first = Record(tmp_path, FACTS)
    first.time("fit_seconds", 10.0)
    first.finish("terminated", "stopped")
    earlier = read_record(tmp_path)
    earlier["timings"]["total_seconds"] = 100.0

    second = Record(tmp_path, FACTS, earlier)
    second.time("fit_seconds", 5.0)
    second.finish("done")
    written = read_record(tmp_path)
    assert written["started"] == earlier["started"] and len(written["resumed"]) == 1
    assert written["timings"]["fit_seconds"] == 15.0 and 100 <= written["timings"]["total_seconds"] < 110
    assert (written["status"], written["error"]) == ("done", None)


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"round": 0, "filling": []})
    stop = threading.Event()
    seen: list[int] = []
    broken: list[str] = []

    def read() -> None:
        while not stop.is_set():
            content = path.read_text()
            try:
                seen.append(json.loads(content)["round"])
            except ValueError:
                broken.append(content[:50])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        write_json(path, {"round": number, "filling": list(range(3000))})
    stop.set()
    reader.join()
    assert not broken and len(set(seen)) > 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["record.json"], "a temporary file was left"


def test_only_the_first_rank_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    Record(tmp_path / "run", FACTS).finish("done")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"), [(None, "is not a run folder: it holds no record.json"), ("{", "cannot be read")]
)
def test_what_is_no_record_is_said(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "record.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_record(tmp_path)


def test_latest_moves_on(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        link_latest(tmp_path / "runs", tmp_path / "runs" / name)
        assert os.readlink(tmp_path / "runs/latest") == name
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert (tmp_path / "moved/latest").is_dir(), "the link must not name the folder it lay in"
