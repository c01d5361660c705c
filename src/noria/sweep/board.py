"""What a sweep shows: a live table on a terminal, a line for each trial elsewhere, and the closing table."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.live import Live
from rich.table import Table
from rich.text import Text

from noria.common.console import get_console
from noria.sweep.trial import ENDED_BADLY, Trial
from noria.tracking.record_file import DONE, PRUNED, RUNNING

COLORS = {DONE: "green", PRUNED: "cyan", RUNNING: "bold", **dict.fromkeys(ENDED_BADLY, "red")}
READ = 1.0  # seconds between two looks into the records of running trials


class LiveBoard:
    """Every trial: what tells it from the others, its state, epoch, best metric, time left.

    Args:
        total: how many trials there will be, if that is known.
    """

    def __init__(self, sweep_dir: Path, metric: str, total: int | None) -> None:
        self._sweep_dir, self._metric, self._total = sweep_dir, metric, total
        self._console = get_console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._read = 0.0
        self._said: dict[int, str] = {}

    def __enter__(self) -> LiveBoard:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update("", refresh=True)
            self._live.stop()

    def say(self, message: str) -> None:
        self._console.print(message, highlight=False)

    def refresh(self, trials: list[Trial]) -> None:
        if time.monotonic() - self._read > READ:
            self._read = time.monotonic()
            for trial in trials:
                if trial.state == RUNNING:
                    trial.read()
            if self._live is not None:
                self._live.update(self._table(trials), refresh=True)
        if self._live is None:
            for trial in trials:
                if self._said.get(trial.number) != trial.state:
                    self._said[trial.number] = trial.state
                    self.say(f"trial {trial.number} {trial.state}: {short(trial.name)}{self._more(trial)}")

    def _more(self, trial: Trial) -> str:
        if trial.message:
            return f" ({trial.message})"
        found = trial.measured(self._metric)
        return f" ({self._metric} {found['value']:.4f})" if found else ""

    def _table(self, trials: list[Trial]) -> Table:
        counts = Counter(trial.state for trial in trials)
        of = f" of {self._total}" if self._total is not None else ""
        title = f"{self._sweep_dir}: {len(trials)}{of} trials, " + ", ".join(
            f"{count} {state}" for state, count in counts.items()
        )
        table = Table("trial", "overrides", "state", "epoch", f"best {self._metric}", "left", title=title)
        room = max(5, self._console.height - 8)
        running = [trial for trial in trials if not trial.over]
        ended = [trial for trial in trials if trial.over]
        shown = sorted([*running[:room], *ended[-max(0, room - len(running)) :]], key=lambda trial: trial.number)
        for trial in shown:
            progress = trial.record.get("progress") or {} if trial.state == RUNNING else {}
            found = trial.measured(self._metric) or {}
            best = found.get("value", progress.get("best"))
            left = progress.get("seconds_left")
            state = Text(trial.state, COLORS.get(trial.state, ""))
            table.add_row(
                str(trial.number),
                short(trial.name),
                state,
                f"{progress['epoch']:.1f}/{progress['epochs']}" if progress.get("epochs") else "",
                "" if best is None else f"{best:.4f}",
                "" if left is None else clock(left),
            )
        return table


def show_end(sweep_dir: Path, trials: Sequence[Trial], metric: str, mode: str, total: int) -> None:
    """The ranking with intervals, each failure in a line, and where everything is."""
    console = get_console()
    table = Table("rank", "trial", "overrides", metric, "95 % interval", "run", title=f"{metric}, {mode}")
    for rank, trial in enumerate(ranked(trials, metric, mode), start=1):
        found = trial.measured(metric)
        assert found is not None and trial.folder is not None
        low, high = ("" if found.get(end) is None else f"{found[end]:.4f}" for end in ("low", "high"))
        table.add_row(
            str(rank),
            str(trial.number),
            short(trial.name),
            f"{found['value']:.4f}",
            f"[{low}, {high}]" if low else "",
            trial.folder.name,
        )
    if table.row_count:
        console.print(table)
    for trial in trials:
        if trial.state in ENDED_BADLY:
            line = f"trial {trial.number} ({trial.name}) {trial.state}: {trial.message}"
            log = f" — {os.path.relpath(trial.folder)}/trial.log" if trial.folder else ""
            console.print(line + log, style="red", highlight=False, soft_wrap=True)
    counts = Counter(trial.state for trial in trials)
    if total > len(trials):
        counts["not started"] = total - len(trials)
    console.print(", ".join(f"{count} {state}" for state, count in counts.items()), highlight=False)
    console.print(f"sweep:    {sweep_dir}", highlight=False, soft_wrap=True)


def ranked(trials: Sequence[Trial], metric: str, mode: str) -> list[Trial]:
    """The trials that have measured the metric, the best first; the same trial once."""
    unique = {trial.key: trial for trial in reversed(trials) if trial.finished and trial.measured(metric)}
    better = -1 if mode == "max" else 1
    return sorted(unique.values(), key=lambda trial: (better * trial.measured(metric)["value"], trial.number))  # type: ignore[index]


def clock(seconds: float) -> str:
    """h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def short(overrides: str) -> str:
    """With numbers in four digits, for a table."""
    return re.sub(r"(?<==)-?\d+\.\d{4,}(e[+-]?\d+)?\b", lambda number: f"{float(number[0]):.4g}", overrides)
