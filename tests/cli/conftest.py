"""What the tests of the command line share: Noria in a second process, and waiting for what it leaves."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"
PATIENCE = 300  # seconds; on busy cores the imports alone take twenty

T = TypeVar("T")


class Process:
    """`python scripts/run.py …` in a folder. What it prints goes to a file, so that it never waits for a reader."""

    def __init__(self, folder: Path, words: list[str], largest: int | None = None) -> None:
        self.folder = folder
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        deaf = [each for each in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_IGN]

        def prepare() -> None:
            for each in deaf:  # a shell that runs in the background has its children ignore Ctrl-C; so does nohup
                signal.signal(each, signal.SIG_DFL)
            if largest is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

        before = prepare if deaf or largest is not None else None
        self._process = subprocess.Popen(
            [sys.executable, str(RUN), *words], cwd=folder, stdout=self._said, stderr=self._said, preexec_fn=before
        )

    def wait_for(self, found: Callable[[], T | None]) -> T:
        """Looks until there is something; fails if the process ends before."""
        end = time.monotonic() + PATIENCE
        while not (result := found()):
            assert self._process.poll() is None, f"it ended before its time:\n{self.said()}"
            assert time.monotonic() < end, f"nothing came:\n{self.said()}"
            time.sleep(0.005)
        return result

    def end(self, number: signal.Signals) -> int:
        """Sends a signal; the exit status."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Until it ends by itself; the exit status."""
        return self._process.wait(PATIENCE)

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Process]]:
    """launch(folder, words, largest): Noria in a process of its own, which is killed at the end if it still runs.

    `largest`: bytes that no file may grow beyond: writing fails in mid-file, as on a full disk.
    """
    started: list[Process] = []

    def start(folder: Path, words: list[str], largest: int | None = None) -> Process:
        started.append(Process(folder, words, largest))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="module")
def steady(tiny_model: Path, reviews: Path) -> list[str]:
    """Overrides of a fit of 46 short steps an epoch that writes a checkpoint every five of them."""
    return [
        "model=hub",
        f"model.name={tiny_model}",
        "data=table",
        f"data.path={reviews}",
        "data.max_length=32",
        "data.batch_size=2",
        "metric=[accuracy]",
        "precision=fp32",
        "logger=csv",
        "optimizer.lr=1e-3",
        "trainer.log_every_n_steps=1",
        "callback.checkpoint.every_n_steps=5",
    ]
