"""`record.json`: what a run was, did and measured. Everything that compares runs reads it, nothing reads log text."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_only

from noria.tracking.environment import code, hardware, versions
from noria.tracking.record_file import FILE, RUNNING, jsonable, write_json

FORMAT = 1


class Record:
    """The record of one run folder, written anew (whole, in one move) at each update.

    Args:
        folder: the run folder.
        facts: what is known from the start (stage, config, hash, seed …).
        earlier: the record of the part before a resume: what it measured goes on from there.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], earlier: Mapping[str, Any] | None = None) -> None:
        self.folder = folder
        self._clock = time.perf_counter()
        self._seconds_before = float(earlier["timings"]["total_seconds"]) if earlier else 0.0
        self.data: dict[str, Any] = dict(earlier or {})
        self.data |= {
            "format": FORMAT,
            "status": RUNNING,
            "error": None,
            "started": (earlier or {}).get("started", _now()),
            "resumed": [*(earlier or {}).get("resumed", []), *([_now()] if earlier else [])],
            **facts,
            "hardware": hardware(),
            "versions": versions(),
            "git": code(),
        }
        self.data.setdefault("metrics", {})
        self.data.setdefault("timings", {"total_seconds": 0.0})
        self.write()

    def update(self, **facts: Any) -> None:
        """Adds facts and writes."""
        self.data |= facts
        self.write()

    def time(self, name: str, seconds: float) -> None:
        """Adds a timing, in seconds."""
        self.data["timings"][name] = round(self.data["timings"].get(name, 0.0) + seconds, 3)

    def finish(self, status: str, error: str | None = None) -> None:
        """Writes down that the run has ended, and how.

        Args:
            status: one of `record_file`, such as DONE.
            error: why, where it failed.
        """
        self.update(status=status, error=error, ended=_now())

    def write(self) -> None:
        """Writes `record.json`; a reader sees the old one or the new one, never half of one."""
        if not first_rank():
            return
        elapsed = self._seconds_before + time.perf_counter() - self._clock
        self.data["timings"]["total_seconds"] = round(elapsed, 3)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / FILE, jsonable(self.data))


def first_rank() -> bool:
    """Whether this process is the one that writes."""
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]
    return rank == 0


def link_latest(runs: Path, run_dir: Path) -> None:
    """Points `<runs>/latest` at the newest run; without symbolic links nothing is lost but the short name."""
    link = runs / "latest"
    new = runs / f".latest.{os.getpid()}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        new.symlink_to(os.path.relpath(run_dir, runs), target_is_directory=True)
        os.replace(new, link)
    except OSError:
        new.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
