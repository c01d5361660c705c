"""A database that is deleted, moved, replaced or full acknowledges nothing, says why, and loses nothing it had kept."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from noria.feedback.store import Prediction, Store, StoreDown

Make = Callable[..., Prediction]


def move(path: Path) -> Callable[[], object]:
    path.rename(path.with_name("elsewhere.db"))
    return lambda: path.with_name("elsewhere.db").rename(path)


def move_folder(path: Path) -> Callable[[], object]:
    path.parent.rename(path.parent.with_name("elsewhere"))
    return lambda: path.parent.with_name("elsewhere").rename(path.parent)


def swap(path: Path) -> Callable[[], object]:
    """Another database of the same content takes its place."""
    path.rename(path.with_name("old.db"))
    shutil.copy(path.with_name("old.db"), path)
    return lambda: path.with_name("old.db").replace(path)


def make_empty(path: Path) -> Callable[[], object]:
    path.rename(path.with_name("old.db"))
    path.touch()
    return lambda: path.with_name("old.db").replace(path)


@pytest.mark.parametrize("hide", [move, move_folder, swap, make_empty])
def test_a_database_that_is_not_in_its_place_keeps_nothing_until_it_is_back(
    hide: Callable[[Path], Callable[[], object]], tmp_path: Path, prediction: Make
) -> None:
    path = tmp_path / "data" / "feedback.db"
    store = Store(f"sqlite:///{path}")
    before, after = prediction("before"), prediction("after")
    store.add_predictions([before])
    put_back = hide(path)
    for act in (
        lambda: store.add_predictions([prediction("lost?")]),
        lambda: store.add_feedback(before.id, "ann", correct=True),
        lambda: store.add_preference("p", "a", "b", "ann"),
        lambda: store.delete(before.id),
        store.counts,
        lambda: list(store.predictions()),
    ):
        with pytest.raises(StoreDown, match=r"feedback.db is not there any more: the file was deleted, moved or"):
            act()
    put_back()
    store.add_predictions([after])
    assert store.add_feedback(before.id, "ann", correct=True)
    store.close()
    again = Store(f"sqlite:///{path}")
    assert {one.request["text"] for one in again.predictions()} == {"before", "after"}
    assert [said.prediction.request["text"] for said in again.corrections()] == ["before"]
    again.close()


def test_a_link_to_a_database_is_that_database(tmp_path: Path, prediction: Make) -> None:
    (tmp_path / "disk").mkdir()
    link, real = tmp_path / "feedback.db", tmp_path / "disk" / "real.db"
    link.symlink_to(real)  # to where there is room; made through it
    store = Store(f"sqlite:///{link}")
    for _ in range(2):
        store.add_predictions([prediction()])
    assert store.counts()["predictions"] == 2
    link.unlink()
    link.symlink_to(tmp_path / "other.db")
    with pytest.raises(StoreDown, match="is not there any more"):
        store.add_predictions([prediction()])
    store.close()


def test_a_deleted_database_is_not_made_anew_and_leaves_no_stray_file(tmp_path: Path, prediction: Make) -> None:
    path = tmp_path / "feedback.db"
    store = Store(f"sqlite:///{path}")
    store.add_predictions([prediction()])
    for file in tmp_path.glob("feedback.db*"):
        file.unlink()
    for _ in range(3):
        with pytest.raises(StoreDown, match="not there any more"):
            store.add_predictions([prediction()])
    assert not path.exists()
    store.close()
    anew = Store(f"sqlite:///{path}")
    assert anew.counts()["predictions"] == 0
    anew.close()


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_what_stands_beside_it_is_missed_too_and_the_next_write_is_kept(
    tmp_path: Path, prediction: Make, ending: str
) -> None:
    path = tmp_path / "feedback.db"
    store = Store(f"sqlite:///{path}")
    kept, doubtful, later = prediction("kept"), prediction("doubtful"), prediction("later")
    store.add_predictions([kept])
    Path(f"{path}{ending}").unlink()
    with pytest.raises(StoreDown, match="was deleted while it was open"):
        store.add_predictions([doubtful])
    store.add_predictions([later])
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))  # as if it were killed here
    copied = sqlite3.connect(tmp_path.with_name(f"{tmp_path.name}-copy") / "feedback.db")
    assert {json.loads(asked)["text"] for (asked,) in copied.execute("SELECT request FROM predictions")} >= {
        "kept",
        "later",
    }
    copied.close()
    store.close()


FULL = """
import resource, signal, sys, uuid
from datetime import UTC, datetime
from noria.feedback.store import Prediction, Store, StoreDown
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(sys.argv[1])

def add(size):
    request, answer = {"text": "word " * size}, {"label": "a", "probabilities": {"a": 1.0}}
    made = Prediction(uuid.uuid4().hex, "1", "a.form", request, answer, 1.0, "shop", datetime.now(UTC))
    store.add_predictions([made])
    print(made.id, flush=True)

add(10)
everything = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, everything[1]))
refused = 0
for _ in range(40):
    try:
        add(5000)
    except StoreDown as problem:
        refused += 1
        assert "feedback.db failed" in str(problem), problem
assert refused, "the disk was full"
resource.setrlimit(resource.RLIMIT_FSIZE, everything)
add(10)
"""


def test_a_full_disk_acknowledges_nothing_and_there_is_no_harm(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/feedback.db"
    done = subprocess.run([sys.executable, "-c", FULL, url], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    store = Store(url)
    assert {one.id for one in store.predictions()} == set(done.stdout.split()) and len(done.stdout.split()) >= 2
    store.close()
