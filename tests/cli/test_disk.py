"""What a notice to leave, a full disk and a folder that is read-only leave behind: a checkpoint that is whole."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
STEPS = 46  # an epoch of the steady fit
LARGEST = 2 << 20  # bytes: more than any small file of a run, less than a checkpoint of the tiny model


@pytest.fixture(scope="module")
def words(steady: list[str]) -> list[str]:
    """Two epochs of the steady fit; no checkpoint is due before the first has ended."""
    return [*steady, "trainer.max_epochs=2", "callback.checkpoint.every_n_steps=500"]


@pytest.fixture(scope="module", params=[signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def told(
    request: pytest.FixtureRequest, words: list[str], launch: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, str]:
    """A fit that was told to leave in its first epoch: the run folder, the exit status and what it said."""
    process = launch(tmp_path_factory.mktemp(request.param.name.lower()), words)
    metrics = process.wait_for(lambda: next(process.folder.glob("runs/default/*/metrics.csv"), None))
    run = metrics.parent
    process.wait_for(lambda: len(rows(run)) >= 3)
    status = process.end(request.param)
    return run, status, process.said()


@pytest.fixture
def stopped(told: tuple[Path, int, str], tmp_path: Path) -> Path:
    """A copy of that run, to be gone on with."""
    return Path(shutil.copytree(told[0], tmp_path / "stopped"))


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def checkpoint(run: Path) -> Path:
    return run / "checkpoints/last.ckpt"


def stands_at(run: Path) -> int:
    return int(torch.load(checkpoint(run), weights_only=True)["global_step"])


def soon(run: Path) -> str:
    """The next checkpoint is due in the third step after the one that there is."""
    return f"callback.checkpoint.every_n_steps={stands_at(run) + 3}"


def test_a_notice_saves_first(told: tuple[Path, int, str]) -> None:
    run, status, said = told
    assert status == 143, said
    way_on = f"python {RUN} resume=runs/default/{run.name}"
    assert said.splitlines()[-1] == f"Terminated. To go on from the last checkpoint: {way_on}"
    assert "Traceback" not in said
    assert record(run)["status"] == "terminated" and record(run)["error"] is None
    assert record(run)["checkpoints"]["writes"] == 1

    saved = stands_at(run)
    assert 3 <= saved < STEPS, "the machine is too fast or too slow for this test"
    logged = [int(row["step"]) for row in rows(run)]
    assert logged == list(range(saved)), "steps were made after the checkpoint, or it was made too late"
    assert [path.name for path in checkpoint(run).parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("told", [signal.SIGTERM], indirect=True, ids=["SIGTERM"])
def test_a_full_disk_leaves_the_last_good_checkpoint(stopped: Path, launch: Any, noria: Callable[..., int]) -> None:
    good = checkpoint(stopped).read_bytes()
    small = max(path.stat().st_size for path in stopped.rglob("*") if path.is_file() and path != checkpoint(stopped))
    assert small < LARGEST < len(good), "the limit must let all but a checkpoint through"

    process = launch(stopped.parent, [f"resume={stopped.name}", soon(stopped)], LARGEST)
    status, said = process.wait(), process.said()
    assert status == 1, said
    refused(said, "File too large")

    assert checkpoint(stopped).read_bytes() == good
    assert [path.name for path in checkpoint(stopped).parent.iterdir()] == ["last.ckpt"], "half a file is left"
    assert record(stopped)["status"] == "failed" and "cannot be written" in record(stopped)["error"]
    assert len(rows(stopped)) == stands_at(stopped) + 2, "it was to train on for a while"

    # there is room again
    assert noria(f"resume={stopped}") == 0
    goes_on_to_its_end(stopped)


def refused(said: str, why: str) -> None:
    """One line at the end that says which file, why, and what still is good."""
    file = "stopped/checkpoints/last.ckpt"
    start = f"The checkpoint {file} cannot be written ({why}). The one before it is whole. "
    assert said.splitlines()[-1].startswith(start), said
    assert "Traceback" not in said and said.count("cannot be written") == 1


def goes_on_to_its_end(run: Path) -> None:
    assert record(run)["status"] == "done" and record(run)["error"] is None
    assert stands_at(run) == 2 * STEPS
    assert [int(row["step"]) for row in rows(run) if row["train/loss"]] == list(range(2 * STEPS))
    assert [row["step"] for row in record(run)["history"]] == [STEPS, 2 * STEPS]


@pytest.fixture
def lock() -> Iterator[Callable[[Path], Callable[[], None]]]:
    """lock(folder): nothing can be made in it any more, until what this returns is called (or the test ends)."""
    opened: list[Callable[[], None]] = []

    def locked(folder: Path) -> Callable[[], None]:
        mode = folder.stat().st_mode

        def unlock() -> None:
            if root:
                subprocess.run(["chattr", "-i", str(folder)], check=False, capture_output=True)
            else:
                folder.chmod(mode)

        # root may write wherever it likes, but not where a file system says that nothing is to change
        root = os.geteuid() == 0
        if root and not shutil.which("chattr"):
            pytest.skip("as root, and without chattr, no folder is read-only")
        opened.append(unlock)
        if root:
            subprocess.run(["chattr", "+i", str(folder)], check=False, capture_output=True)
        else:
            folder.chmod(0o555)
        try:
            (folder / "probe").touch()
        except OSError:
            return unlock
        (folder / "probe").unlink()
        pytest.skip("this file system keeps no folder read-only")

    yield locked
    for unlock in opened:
        unlock()


@pytest.mark.parametrize("told", [signal.SIGTERM], indirect=True, ids=["SIGTERM"])
def test_a_read_only_folder_leaves_the_last_good_checkpoint(
    stopped: Path, noria: Callable[..., int], lock: Callable[[Path], Callable[[], None]], capfd: Any
) -> None:
    good = checkpoint(stopped).read_bytes()
    unlock = lock(checkpoint(stopped).parent)
    assert noria(f"resume={stopped}", soon(stopped)) == 1
    said = capfd.readouterr().err
    refused(said, "Operation not permitted" if os.geteuid() == 0 else "Permission denied")
    assert checkpoint(stopped).read_bytes() == good
    assert [path.name for path in checkpoint(stopped).parent.iterdir()] == ["last.ckpt"]
    assert record(stopped)["status"] == "failed"

    unlock()
    assert noria(f"resume={stopped}") == 0
    goes_on_to_its_end(stopped)
