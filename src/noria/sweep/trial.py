"""One trial of a sweep as its sweep sees it: what it is, how it stands, what it has measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from noria.common.errors import UserError
from noria.tracking.record_file import DONE, FAILED, KILLED, PRUNED, RUNNING, TIMED_OUT, read_record

WAITING, ELSEWHERE, STOPPED = "waiting", "in another shell", "stopped"
ENDED_BADLY = (FAILED, KILLED, TIMED_OUT)


@dataclass(eq=False)
class Trial:
    """One config of a sweep.

    Args:
        number: its place in the sweep, from 0.
        overrides: what tells it from the others, as typed.
        key: what it is known by (`sweep/identity.py`).
        code: the version of the code that its key stands for.
        cfg, choices: its config, unresolved, and the choice made in each group.
        state: one of the statuses of a record, or waiting, in another shell, stopped.
        folder: its run folder, once it has one.
        attempts: how often this command started it.
        message: how it failed, in one line.
    """

    number: int
    overrides: list[str]
    key: str
    cfg: DictConfig
    choices: dict[str, Any]
    state: str = WAITING
    folder: Path | None = None
    attempts: int = 0
    message: str = ""
    code: str = ""
    seconds: float = 0.0
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join(self.overrides) or self.key

    @property
    def over(self) -> bool:
        """Whether this command has no more to do with it."""
        return self.state not in (WAITING, RUNNING, ELSEWHERE)

    @property
    def finished(self) -> bool:
        return self.state in (DONE, PRUNED)

    def read(self) -> None:
        """Reads its record anew, if there is one."""
        if self.folder is not None:
            try:
                self.record = read_record(self.folder)
            except UserError:
                return

    def measured(self, metric: str) -> dict[str, Any] | None:
        """A metric of the artifact with its interval: value, low, high, n."""
        found = (self.record.get("metrics") or {}).get(metric)
        return found if isinstance(found, dict) and found.get("value") is not None else None
