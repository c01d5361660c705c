"""A trial's process: forked off a warm server, leader of a group of its own, gone when the sweep is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from noria.common.end_signals import END_SIGNALS, children_without_signals
from noria.common.process import die_with_parent
from noria.sweep.claim import Place, Taken, claimed, may_be_given_up

LOG = "trial.log"
TAKEN = 75  # EX_TEMPFAIL: another process has this trial; try again later


@dataclass(frozen=True)
class Job:
    """What the sweep tells the process of a trial.

    Args:
        code: the version of the code that its key stands for.
        environ: the whole environment: children of the server would see that of its start.
        threads: of torch.
    """

    sweep_dir: Path
    key: str
    cfg: DictConfig
    choices: dict[str, Any]
    code: str
    environ: Mapping[str, str]
    threads: int


Run = Callable[[Job, Place], tuple[int, str]]
"""Runs one trial in this process, at its place; gives its exit status and how it failed."""


class TrialProcess:
    """One running trial."""

    def __init__(self, job: Job, run: Run) -> None:
        context = multiprocessing.get_context("forkserver")
        self._said, writer = context.Pipe(duplex=False)
        self._process = context.Process(target=_child, args=(job, run, writer))
        self._process.start()
        writer.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def sentinel(self) -> int:
        """Ready, for `multiprocessing.connection.wait`, when the process has ended."""
        return self._process.sentinel

    def ended(self) -> bool:
        return self._process.exitcode is not None

    def signal(self, number: signal.Signals) -> None:
        """Tells the trial to end, or kills it and all that it has started.

        What it has started is not told: it ends that itself, once its checkpoint is written.
        """
        with suppress(ProcessLookupError, PermissionError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def close(self) -> tuple[int, str]:
        """Its exit status, negative for the signal that killed it, and what it said of it; takes what is left of its
        group with it."""
        self._process.join()
        self.signal(signal.SIGKILL)
        status = self._process.exitcode
        assert status is not None
        message = ""
        with suppress(EOFError, OSError):
            if self._said.poll():
                message = str(self._said.recv())
        self._said.close()
        self._process.close()
        return status, message


def warm_up(modules: Sequence[str]) -> None:
    """Starts the server that trials are forked from; it imports the modules and touches no GPU.

    It ignores Ctrl-C and the signals to end, which reach it, too, where they are sent to all processes of the
    sweep: its end would be that of its trials. It ends with the sweep.
    """
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(modules))
    with children_without_signals():
        forkserver.ensure_running()


def _child(job: Job, run: Run, writer: Connection) -> None:
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, *END_SIGNALS))
    threading.Thread(target=_end_with_sweep, daemon=True).start()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(job.environ)
    import torch

    torch.set_num_threads(job.threads)
    status, message = 0, ""
    try:
        with claimed(job.sweep_dir, job.key, may_be_given_up(job.cfg)) as place:
            if not place.finished:
                place.folder.mkdir(parents=True, exist_ok=True)
                _write_to(place.folder / LOG)
                status, message = run(job, place)
    except Taken:
        status = TAKEN
    except OSError as error:
        status, message = 1, f"{job.sweep_dir}: {error.strerror}"
    sys.stdout.flush()
    sys.stderr.flush()
    writer.send(message)
    sys.exit(status)


def _end_with_sweep() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.killpg(0, signal.SIGKILL)  # its data workers and other ranks as well


def _write_to(log: Path) -> None:
    """Sends all that this process and its children print to a file; they read nothing."""
    opened = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, opened), (2, opened)):
        os.dup2(source, target)
    os.close(opened)
    os.close(null)
    sys.stdout, sys.stderr = (
        os.fdopen(descriptor, "w", buffering=1, encoding="utf-8", closefd=False) for descriptor in (1, 2)
    )
