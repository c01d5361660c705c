"""Whose a run folder is: one process writes there, and no run is given the folder of another. Imports no torch."""

from __future__ import annotations

import fcntl
import os
import platform
from pathlib import Path

from noria.common.errors import UserError
from noria.common.names import LAST_CHECKPOINT
from noria.tracking.record_file import DONE, FILE, PREDICTIONS, read_record

LOCK = ".lock"
WRITTEN = ("config.yaml", "checkpoints", "artifact", PREDICTIONS)  # what a run would write over, besides its record
INSTEAD = "Name a folder that is not there yet, or none (paths.run_dir, hydra.run.dir), or move that one away."

_held: dict[Path, int] = {}  # the folders that this process writes to, each with its open lock


def refuse_taken(folder: Path) -> None:
    """Refuses a folder that a new run would have to share: another run's, one inside another run's, or one with files
    of the names that a run writes.

    Raises:
        UserError: says whose it is, and what to do instead.
    """
    refuse_inside(folder)
    if (folder / FILE).exists():
        raise UserError(f"{folder} is the folder of another run{_state(folder)}. {INSTEAD}{_way_on(folder)}")
    if there := [name for name in WRITTEN if (folder / name).exists()]:
        raise UserError(f"{folder} holds {there[0]} already, which this run would write over. {INSTEAD}")


def refuse_folder_of_all(folder: Path, runs: Path) -> None:
    """Refuses a run folder that is the folder of all runs, or holds it: every later run would lie inside that run.

    Args:
        runs: where runs lie whose folder nobody names (`paths.runs`).

    Raises:
        UserError: says what to do instead.
    """
    place, every = folder.resolve(), runs.resolve()
    if place == every or (every.is_dir() and every.is_relative_to(place)):
        raise UserError(
            f"{folder} {'is' if place == every else 'holds'} the folder of all runs (paths.runs={runs}), and a run's "
            f"folder holds that run alone. Name one inside it, such as {runs / 'mine'}, or none."
        )


def refuse_inside(folder: Path) -> None:
    """Refuses a folder that lies inside the folder of a run of another process.

    Raises:
        UserError: says which one.
    """
    for outer in folder.resolve().parents:
        if (outer / FILE).is_file() and outer not in _held:  # a fit inside a turn lies in a folder that we hold
            raise UserError(f"{folder} lies inside the folder of another run ({outer}). {INSTEAD}")


def claim(folder: Path, *, resumes: bool) -> None:
    """Makes a run folder this process's own until `release`; of several that claim it at a time, one gets it.

    Args:
        resumes: the run in it goes on. A new run gets a folder only where no run has been.

    Raises:
        UserError: another process holds it, or `refuse_taken`.
    """
    place = folder.resolve()
    if place in _held:
        raise UserError(f"{folder} is the folder of a run that goes on in this process. {INSTEAD}")
    if not resumes:
        refuse_taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(lock, folder)
        if not resumes:  # another may have been here while we were at the door
            refuse_taken(folder)
    except BaseException:
        os.close(lock)
        raise
    _held[place] = lock


def release(folder: Path) -> None:
    """Gives a claimed folder free; one that is not claimed is left alone."""
    lock = _held.pop(folder.resolve(), None)
    if lock is not None:
        os.close(lock)


def is_held(folder: Path) -> bool:
    """Whether a process writes to this run folder now."""
    if folder.resolve() in _held:
        return True
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(lock)
    return False


def _lock(lock: int, folder: Path) -> None:
    """Locks for this process alone: what it forks does not hold the lock, and its end frees it."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        who = os.pread(lock, 100, 0).decode(errors="replace") or "it has just begun"
        raise UserError(
            f"Another process writes to {folder} now ({who}). Wait until it has ended, or take another folder."
        ) from error
    except OSError:  # a file system without locks: what lies in the folder has to do
        return
    os.truncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {platform.node()}".encode(), 0)


def _state(folder: Path) -> str:
    try:
        record = read_record(folder)
    except UserError:
        return ""
    return f" ({record.get('stage')}, {record.get('status')})"


def _way_on(folder: Path) -> str:
    try:
        status = read_record(folder).get("status")
    except UserError:
        return ""
    goes_on = status != DONE and (folder / LAST_CHECKPOINT).is_file()
    return f" To go on with that run: resume={folder}" if goes_on else ""
