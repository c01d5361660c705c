"""Who runs a trial, and where: a lock that ends with its process, and a folder that nothing else ever writes to."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noria.common.errors import UserError
from noria.common.names import LAST_CHECKPOINT
from noria.tracking.record_file import DONE, FAILED, FILE, PRUNED, read_record

LOCKS = ".locks"


@dataclass(frozen=True)
class Place:
    """Where a trial is, or is to be.

    Args:
        folder: its run folder.
        record: what it has left there; None where it has not begun.
        resumes: whether it goes on from a checkpoint that an earlier attempt left in the folder.
        prunes: whether it may be given up. One that a search gave up is not what a grid asks for.
    """

    folder: Path
    record: dict[str, Any] | None = None
    resumes: bool = False
    prunes: bool = True

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.record is not None and self.record["status"] in ((DONE, PRUNED) if self.prunes else (DONE,))


class Taken(Exception):
    """Another process has this trial."""


def may_be_given_up(cfg: Mapping[str, Any]) -> bool:
    """Whether a trial's config has a search look at how it does."""
    return "pruning" in (cfg.get("callback") or {})


def look_up(sweep_dir: Path, key: str, prunes: bool = True) -> Place:
    """The place of a trial: a finished attempt; else one to go on with; else a folder that is not there yet.

    An attempt that failed by itself is not gone on with: the same would come of it.
    """
    attempts = [sweep_dir / key]
    while (attempts[-1] / FILE).is_file():
        attempts.append(sweep_dir / f"{key}.{len(attempts) + 1}")
    *earlier, fresh = [Place(folder, _read(folder), prunes=prunes) for folder in attempts]
    for place in earlier:
        if place.finished:
            return place
    if earlier and (last := earlier[-1]).record is not None:
        stopped = last.record["status"] != FAILED and (last.folder / LAST_CHECKPOINT).is_file()
        if stopped and last.record.get("stage") == "fit":
            return Place(last.folder, last.record, resumes=True, prunes=prunes)
    return fresh


@contextmanager
def claimed(sweep_dir: Path, key: str, prunes: bool = True) -> Iterator[Place]:
    """Holds a trial for this process and those that it forks; looks up where it is to run.

    Raises:
        Taken: another process holds it.
        OSError: the file system knows no locks.
    """
    locks = sweep_dir / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    lock = os.open(locks / key, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Taken(key) from error
        yield look_up(sweep_dir, key, prunes)
    finally:
        os.close(lock)


def hold(sweep_dir: Path, name: str) -> int:
    """Holds a lock of that name as long as this process lives; the descriptor."""
    locks = sweep_dir / LOCKS
    locks.mkdir(parents=True, exist_ok=True)
    lock = os.open(locks / name, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def is_taken(sweep_dir: Path, key: str) -> bool:
    """Whether another process holds this trial now."""
    try:
        with claimed(sweep_dir, key):
            return False
    except Taken:
        return True


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        return read_record(folder)
    except UserError:
        return None
