"""`stage=cycle`: feedback → reason to train → fine-tune from the champion → judge → promote, or say why not."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval
from omegaconf import DictConfig

from noria.common.command import command
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.cycle.reasons import Thresholds
from noria.feedback.store import Store, StoreDown
from noria.registry.registry import Registry
from noria.report import cycle as cycle_report
from noria.stage.child import inside
from noria.stage.run import refuse_many_processes
from noria.stage.turn import Plan, turn


def cycle(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    action: Literal["turn", "rollback", "status", "history"] = "turn",
    registry: str = "registry",
    feedback: str = "sqlite:///feedback.db",
    force: bool = False,
    take_marked: bool = False,
    watch: bool = False,
    every: Annotated[float, Gt(0)] = 60.0,
    rows: Annotated[int, Gt(0)] = 100,
    error: Annotated[float, Interval(ge=0, le=1)] = 0.1,
    drift: Annotated[float, Interval(gt=0, lt=1)] = 0.001,
    margin: Annotated[float, Ge(0)] = 0.01,
    alpha: Annotated[float, Interval(ge=1e-9, lt=1)] = 0.05,
    replay: Annotated[int, Ge(0)] = 2000,
    weigh: bool = True,
    cap: Annotated[int, Gt(0)] = 1000,
    least: Annotated[float, Interval(ge=0, le=1)] = 0.7,
    distrust: Annotated[float, Interval(ge=0, le=1)] = 0.6,
    held_out: Annotated[float, Interval(gt=0, lt=1)] = 0.2,
) -> None:
    """One turn of the wheel, or many; or a look at the registry.

    An empty registry takes the artifact as its first champion. Killed at any point, the old or the new champion is
    left, whole.

    Args:
        action: `turn`; `rollback` to the champion before; `status`; `history`.
        rows, error, drift, force: when there is reason to train.
        take_marked: make a first champion of an artifact, too, that was made of another one (`stage=compress`,
            `export`) and not shown to be as good and as quick.
        margin, alpha: when a challenger is promoted.
        replay, weigh, cap, least, distrust, held_out: what is learnt from (`data=feedback`).
        watch, every: turn again whenever `rows` more corrections have come; seconds between two looks at that.

    Raises:
        UserError: no feedback can be learnt from, or another process turns this registry.
    """
    refuse_many_processes("cycle")
    versions = Registry(Path(registry).expanduser())
    if action != "turn":
        _look(versions, action)
        return
    learnt = {"replay": replay, "weigh": weigh, "cap": cap, "least": least, "distrust": distrust}
    plan = Plan(
        choices, versions, feedback, {**learnt, "test_fraction": held_out}, Thresholds(rows, error, drift), force,
        take_marked, margin, alpha,
    )  # fmt: skip
    if watch:
        _keep_turning(cfg, plan, every)
    else:
        turn(cfg, plan)


def _keep_turning(cfg: DictConfig, plan: Plan, every: float) -> None:
    """Turns, then waits until users have said so much more: what nothing new has come to would be judged alike."""
    rows = plan.thresholds.rows
    for number in count(1):
        folder = Path(cfg.paths.run_dir) / f"turn-{number:04}"
        if folder.exists():  # of an earlier watch in this folder
            continue
        began = datetime.now(UTC)
        try:
            turn(inside(cfg, folder), plan)
        except (UserError, StoreDown) as problem:  # such as that there is no feedback yet
            get_console().print(str(problem), style="yellow", highlight=False)
        get_console().print(f"Waiting for {rows:,} more corrections (Ctrl-C ends).", highlight=False)
        while _said_since(plan.feedback, began) < rows:
            time.sleep(every)


def _said_since(url: str, moment: datetime) -> int:
    """How many corrections have come; none while the database does not answer."""
    try:
        with closing(Store(url)) as store:
            return sum(1 for _ in store.corrections(since=moment))
    except (UserError, StoreDown):
        return 0


def _look(versions: Registry, action: str) -> None:
    if action == "rollback":
        with versions.lock():
            back = versions.rollback("rolled back by hand")
        get_console().print(f"{back.name} is the champion again.", highlight=False)
        return
    champion = versions.champion()
    if champion is None:
        first = command("stage=cycle", "artifact=runs/latest/artifact", *cycle_report.named(versions.folder))
        raise UserError(f"{versions.folder} has no champion yet: {first}")
    {"status": cycle_report.status, "history": cycle_report.history}[action](versions, champion)
