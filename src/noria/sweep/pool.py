"""Runs trials, as many at once as the machine holds; one that crashes, hangs or is killed harms no other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from noria.common.errors import Terminated
from noria.sweep.claim import Taken, claimed, is_taken, look_up, may_be_given_up
from noria.sweep.process import TAKEN, Job, Run, TrialProcess
from noria.sweep.trial import ELSEWHERE, STOPPED, WAITING, Trial
from noria.tracking.record_file import DONE, FAILED, FILE, KILLED, RUNNING, TIMED_OUT, read_record, write_json

LOOK = 0.2  # seconds between two looks at all trials
AGAIN = 1.0  # seconds before another look at a trial that another shell has
GRACE = 10.0  # seconds from SIGTERM to SIGKILL for a trial that is out of time
PARTING = 60.0  # the same for a sweep that is stopped: the trials write their checkpoints


@dataclass(frozen=True)
class Slot:
    """Room for one trial.

    Args:
        environ: what its environment has besides that of the sweep.
        threads: of torch.
    """

    threads: int
    environ: dict[str, str] = field(default_factory=dict)


class Board(Protocol):
    """What shows the trials."""

    def refresh(self, trials: list[Trial]) -> None:
        """Shows how all of them stand."""

    def say(self, message: str) -> None:
        """Shows a line."""


@dataclass
class _Running:
    trial: Trial
    slot: Slot
    process: TrialProcess
    started: float
    ends: float | None  # when it gets SIGTERM, and after that SIGKILL
    told: bool = False
    out_of_time: bool = False


class Pool:
    """Slots for trials, and what holds for each of them.

    Args:
        sweep_dir: where the trials' folders lie.
        run: runs one trial, in its own process.
        slots: one for each trial that runs at a time.
        trial_timeout: seconds that one attempt may take.
        retries: how often a trial that a signal killed is started again in this command.
        fail_fast: the first trial that fails ends the sweep.
    """

    def __init__(
        self,
        sweep_dir: Path,
        run: Run,
        slots: list[Slot],
        board: Board,
        *,
        trial_timeout: float | None = None,
        retries: int = 0,
        fail_fast: bool = False,
    ) -> None:
        self.sweep_dir = sweep_dir
        self.trials: list[Trial] = []
        self._run, self._free, self._board = run, list(slots), board
        self._timeout, self._retries, self._fail_fast = trial_timeout, retries, fail_fast
        self._running: list[_Running] = []
        self._later: list[tuple[float, Trial]] = []
        self._stopping = False

    def run(self, trials: Iterator[Trial], finished: Callable[[Trial], None] = lambda trial: None) -> None:
        """Runs all trials that are not finished yet.

        Args:
            trials: asked for the next one only when there is room for it.
            finished: told of each that is over, in the order in which they end.

        Raises:
            KeyboardInterrupt, Terminated: the sweep was told to end; its trials have ended, and can be gone on with.
        """
        try:
            more = True
            while more or self._running or self._later:
                while more and self._free and not self._stopping:
                    trial = next(trials, None)
                    if trial is None:
                        more = False
                        break
                    self.trials.append(trial)
                    self._begin(trial, finished)
                if self._stopping:
                    more = False
                for moment, trial in list(self._later):
                    if moment <= time.monotonic() and self._free:
                        self._later.remove((moment, trial))
                        self._begin(trial, finished)
                wait([one.process.sentinel for one in self._running], timeout=LOOK)
                self._tend(finished)
                self._board.refresh(self.trials)
        except (KeyboardInterrupt, Terminated):
            self._board.say(f"Stopping {len(self._running)} trials: they keep a checkpoint. Ctrl-C again kills them.")
            self._stop()
            while self._running:
                wait([one.process.sentinel for one in self._running], timeout=LOOK)
                self._tend(finished)
                self._board.refresh(self.trials)
            raise
        finally:
            for one in self._running:  # whatever has happened, nobody is left behind
                one.process.signal(signal.SIGKILL)

    def _begin(self, trial: Trial, finished: Callable[[Trial], None]) -> None:
        """Starts a trial, unless it is finished, or somebody has it."""
        twin = next((other for other in self.trials if other is not trial and other.key == trial.key), None)
        place = look_up(self.sweep_dir, trial.key, may_be_given_up(trial.cfg))
        trial.folder = place.folder if place.record is not None else None
        if place.finished:
            assert place.record is not None
            trial.state = place.record["status"]
        elif twin is not None and twin.over and not twin.finished:
            trial.state, trial.message = twin.state, f"the same as trial {twin.number}"
        elif self._stopping:
            trial.state = STOPPED
        elif is_taken(self.sweep_dir, trial.key):
            trial.state = ELSEWHERE
            self._later.append((time.monotonic() + AGAIN, trial))
            return
        else:
            slot = self._free.pop(0)
            environ = {**os.environ, **slot.environ}
            job = Job(self.sweep_dir, trial.key, trial.cfg, trial.choices, trial.code, environ, slot.threads)
            trial.folder, trial.state, trial.attempts = place.folder, RUNNING, trial.attempts + 1
            ends = None if self._timeout is None else time.monotonic() + self._timeout
            process = TrialProcess(job, self._run)
            self._running.append(_Running(trial, slot, process, time.monotonic(), ends))
            return
        trial.read()
        finished(trial)

    def _tend(self, finished: Callable[[Trial], None]) -> None:
        """Looks after all that run: who has ended, and whose time is up."""
        for one in list(self._running):
            now = time.monotonic()
            one.trial.seconds = now - one.started
            if one.process.ended():
                self._running.remove(one)
                self._free.append(one.slot)
                self._end(one, finished)
            elif one.ends is not None and now > one.ends:
                one.process.signal(signal.SIGKILL if one.told else signal.SIGTERM)
                one.out_of_time = one.out_of_time or not one.told
                one.told, one.ends = True, now + GRACE

    def _end(self, one: _Running, finished: Callable[[Trial], None]) -> None:
        trial = one.trial
        status, message = one.process.close()
        if status == TAKEN:
            trial.state = ELSEWHERE
            self._later.append((time.monotonic() + AGAIN, trial))
            return
        if status == 0:
            trial.state = DONE
        elif one.out_of_time:
            trial.state, trial.message = TIMED_OUT, f"not done after {self._timeout:g} s"
        elif status < 0 and not self._stopping:
            trial.state, trial.message = (
                KILLED,
                f"killed by {_name(-status)}" + (", perhaps for want of memory" if -status == signal.SIGKILL else ""),
            )
        elif self._stopping and status in (129, 130, 143, -signal.SIGKILL, -signal.SIGTERM):
            trial.state = STOPPED
        else:
            trial.state, trial.message = FAILED, message or f"exit status {status}"
        if trial.state in (KILLED, TIMED_OUT):
            _write_end(self.sweep_dir, trial)
        trial.read()
        if status == 0 and trial.record.get("status"):
            trial.state = trial.record["status"]
        if trial.state == KILLED and trial.attempts <= self._retries:
            self._board.say(f"trial {trial.number} was {trial.message}: it is started again")
            trial.state = WAITING
            self._later.append((0.0, trial))
            return
        if self._fail_fast and not trial.finished and not self._stopping:
            self._board.say(f"trial {trial.number} {trial.state} ({trial.message}), and fail_fast is set: stopping")
            self._stop()
        finished(trial)

    def _stop(self) -> None:
        """Tells all trials to end, with a checkpoint; those that have not after a minute are killed."""
        self._stopping = True
        for one in self._running:
            one.process.signal(signal.SIGTERM)
            one.told, one.ends = True, time.monotonic() + PARTING


def _write_end(sweep_dir: Path, trial: Trial) -> None:
    """Writes how a trial ended into its record, which it could not do itself."""
    assert trial.folder is not None
    if not (trial.folder / FILE).is_file():
        return
    try:
        with claimed(sweep_dir, trial.key):
            record = read_record(trial.folder)
            record |= {"status": trial.state, "error": trial.message}
            write_json(trial.folder / FILE, record)
    except Taken:  # another shell has begun it anew
        return


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
