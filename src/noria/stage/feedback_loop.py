"""`stage=feedback_loop`: the wheel with simulated users: train, serve, hear, turn, measure. An experiment.

The classifier learns from one domain; users send texts of another over HTTP and correct the answers, some of them
wrongly, some maliciously. Measured after each turn is the champion, on rows of both domains that nobody has sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Interval
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.table import Table

from noria.artifact import bundle
from noria.common.console import get_console
from noria.cycle.users import User, make_users, send, served, wait_for
from noria.data.module import DataModule
from noria.data.rows.split import sample
from noria.registry.registry import Registry, Version
from noria.report import show
from noria.report.loop_picture import draw
from noria.stage.child import child_fit, inside
from noria.stage.cycle import cycle
from noria.stage.parts import make_loggers, open_form
from noria.stage.run import open_record, recording, refuse_many_processes, shareable
from noria.stage.turn import first_champion, right_rows
from noria.statistics.estimate import Estimate
from noria.statistics.paired import mcnemar, proportion_difference
from noria.statistics.proportion import wilson
from noria.tracking.beside import beside
from noria.tracking.record import Record
from noria.tracking.record_file import jsonable
from noria.tracking.run_info import RunInfo
from noria.tracking.wandb_logger import log_images, log_tables

DEFENDED, OPEN = "with the defence", "without it"


@dataclass(frozen=True)
class Measured:
    """A version on both domains after a turn, its differences to the first one, and their p on the other domain."""

    turn: int
    version: str
    folder: str
    promoted: bool
    other: Estimate
    original: Estimate
    other_gain: Estimate
    original_gain: Estimate
    p: float


def feedback_loop(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    domain: dict[str, Any],
    turns: Annotated[int, Gt(0)] = 4,
    reviews: Annotated[int, Gt(0)] = 2000,
    gold: Annotated[int, Ge(0)] = 200,
    replay: Annotated[int, Ge(0)] = 6000,
    users: Annotated[int, Gt(0)] = 10,
    malicious: Annotated[int, Ge(0)] = 2,
    error: Annotated[float, Interval(ge=0, le=1)] = 0.1,
    held_out: Annotated[int, Gt(0)] = 2000,
    poisoned: list[float] | None = None,
) -> None:
    """Runs the wheel with and without its noise defence, once more with a poisoned turn, and over shares of poison.

    Args:
        domain: the data that users send, made as `data` is.
        turns, reviews, gold: of each run: turns, and in each so many texts of the domain and of the original data.
        replay: original training rows that stand beside the feedback.
        users, malicious, error: who sends them.
        held_out: rows of the domain's test set to measure on.
        poisoned: shares of malicious users, for one turn each.
    """
    refuse_many_processes("feedback_loop")
    record = open_record(cfg, "feedback_loop", choices)
    with recording(record):
        base = child_fit(cfg, choices, record.folder / "base")  # trained on the original data alone
        world = _World(cfg, choices, base, instantiate(domain), held_out, reviews, gold, replay)
        runs = {}
        for name, weigh in ((DEFENDED, True), (OPEN, False)):
            folder = record.folder / ("defended" if weigh else "open")
            runs[name] = world.turn_often(folder, make_users(users, malicious, error), turns, weigh)
        refused = world.poisoned_turn(record.folder / "defended", make_users(users, users, error), turns)
        shares: dict[str, dict[str, Measured]] = {}
        for share in poisoned or []:
            crowd = make_users(users, round(share * users), error)
            for name, weigh in ((DEFENDED, True), (OPEN, False)):
                folder = record.folder / f"poison-{share:g}-{'defended' if weigh else 'open'}"
                world.turn_often(folder, crowd, 1, weigh)
                shares.setdefault(name, {})[f"{share:g}"] = world.challenger(folder)
        saved = {"champions": world.less(runs[DEFENDED][-1], runs[OPEN][-1])}
        for name, challenger in shares.get(DEFENDED, {}).items():
            saved[name] = world.less(challenger, shares[OPEN][name])
        _tell(cfg, record, {"turns": runs, "refused": refused, "poison": shares, "saved": saved})


class _World:
    """What all runs of the experiment share: the first model, the rows, the way a turn is made."""

    def __init__(
        self,
        cfg: DictConfig,
        choices: dict[str, Any],
        base: Path,
        domain: partial[DataModule],
        held_out: int,
        reviews: int,
        gold: int,
        replay: int,
    ) -> None:
        self.cfg, self.choices, self.base = cfg, choices, base
        self.reviews, self.gold, self.replay = reviews, gold, replay
        self.seen: dict[Path, tuple[np.ndarray, np.ndarray]] = {}
        tokenizer = bundle.open_tokenizer(base)
        self.original: DataModule = instantiate(cfg.data).bind(open_form(base, cfg), tokenizer, cfg.seed)
        self.original.setup()
        self.labels = self.original.labels
        self.other = domain().bind(open_form(base, cfg), tokenizer, cfg.seed)
        self.other.setup()
        self.sent = self.other.splits["train"]
        self.other.splits["test"] = sample(self.other.splits["test"], held_out)
        self.before = self._right(base)

    def turn_often(self, folder: Path, users: Sequence[User], turns: int, weigh: bool) -> list[Measured]:
        """A registry of its own with the first model in it, served, corrected and turned so many times."""
        registry = Registry(folder / "registry")
        first_champion(registry, self.base)
        measured = [self._measured(0, _champion(registry))]
        with served(registry.folder, self._database(folder), users, folder / "serve.log") as url:
            for turn in range(1, turns + 1):
                wait_for(url, _champion(registry).name)
                send(url, users, self._rows(turn), self.labels, self.cfg.seed + turn)
                self._turn(folder, turn, weigh)
                measured.append(self._measured(turn, _champion(registry)))
        return measured

    def challenger(self, folder: Path) -> Measured:
        """What the first turn in a folder has made, whether the gate took it or not."""
        return self._measured(1, Registry(folder / "registry").versions()[-1])

    def less(self, ours: Measured, theirs: Measured) -> dict[str, Any]:
        """How much more often one is right than the other on the other domain's rows, with McNemar's exact p."""
        right = [self._right(Path(one.folder))[0] for one in (ours, theirs)]
        return {"difference": _gain(right[0], right[1]), "p": mcnemar(right[0], right[1])}

    def poisoned_turn(self, folder: Path, users: Sequence[User], after: int) -> dict[str, Any]:
        """One more turn in which everybody lies and nobody is weighed: what the gate makes of it."""
        registry = Registry(folder / "registry")
        with served(registry.folder, self._database(folder), users, folder / "serve-poisoned.log") as url:
            wait_for(url, _champion(registry).name)
            for again in (1, 2, 3):
                send(url, users, self._rows(after + again), self.labels, self.cfg.seed + again)
        before = _champion(registry).name
        self._turn(folder, after + 1, weigh=False)
        facts = registry.versions()[-1].facts
        return {
            "before": before,
            "after": _champion(registry).name,
            "promoted": facts["promoted"],
            "said": facts["said"],
        }

    def _rows(self, turn: int) -> list[tuple[str, str]]:
        """What is sent in a turn: rows that no turn before has sent, and gold rows spread among them."""
        rows = []
        for data, count in ((self.sent, self.reviews), (self.original.splits["train"], self.gold)):
            order = np.random.default_rng(self.cfg.seed).permutation(len(data))  # a source may be sorted by label
            piece = data.table.take(order[np.arange((turn - 1) * count, turn * count) % len(data)])
            rows += list(zip(piece["text"].to_pylist(), piece["label"].to_pylist(), strict=True))
        np.random.default_rng(turn).shuffle(rows)
        return [(str(text), str(label)) for text, label in rows]

    def _turn(self, folder: Path, turn: int, weigh: bool) -> None:
        cfg = inside(self.cfg, folder / f"turn-{turn}")
        options = {"registry": str(folder / "registry"), "feedback": self._database(folder)}
        cycle(cfg, self.choices, True, **options, replay=self.replay, weigh=weigh, force=True)  # type: ignore[arg-type]

    def _measured(self, turn: int, version: Version) -> Measured:
        other, original = self._right(version.folder)
        first_other, first_original = self.before
        return Measured(
            turn,
            version.name,
            str(version.folder),
            bool(version.facts.get("promoted", True)),
            wilson(int(other.sum()), len(other)),
            wilson(int(original.sum()), len(original)),
            _gain(other, first_other),
            _gain(original, first_original),
            mcnemar(other, first_other),
        )

    def _right(self, artifact: Path) -> tuple[np.ndarray, np.ndarray]:
        if artifact not in self.seen:
            self.seen[artifact] = (
                right_rows(self.cfg, artifact, self.other),
                right_rows(self.cfg, artifact, self.original),
            )
        return self.seen[artifact]

    def _database(self, folder: Path) -> str:
        return f"sqlite:///{(folder / 'feedback.db').resolve()}"


def _gain(after: np.ndarray, before: np.ndarray) -> Estimate:
    return proportion_difference(int((after & ~before).sum()), int((before & ~after).sum()), len(after))


def _champion(registry: Registry) -> Version:
    champion = registry.champion()
    assert champion is not None
    return champion


def _tell(cfg: DictConfig, record: Record, found: dict[str, Any]) -> None:
    """The record, a picture, a table, W&B."""
    loop = jsonable(found)
    record.update(loop=loop)
    picture = record.folder / "feedback_loop.png"
    with beside("The picture"):
        draw(loop["turns"], loop["poison"], picture)
    console = get_console()
    table = Table("", "turn", "champion", "other domain", "gain", "original domain", "gain", title="The wheel")
    lines = []
    for name, turns in found["turns"].items():
        for one in turns:
            cells = (str(one.other), str(one.other_gain), str(one.original), str(one.original_gain))
            table.add_row(name, str(one.turn), one.version, *cells)
            lines.append(
                (name, one.turn, one.version, one.other.value, one.original.value, one.other_gain.value, one.p)
            )
    console.print(table)
    for share, saved in found["saved"].items():
        where = "after the last turn" if share == "champions" else f"after one turn, {float(share):.0%} malicious"
        console.print(f"saved by the defence, {where}: {saved['difference']} (p {saved['p']:.2g})", highlight=False)
    console.print(f"poisoned turn: {found['refused']['said']}", highlight=False)
    info = RunInfo(record.folder, "feedback_loop", "feedback_loop", record.data["wandb"]["id"], shareable(cfg), {})
    with beside("The start of W&B"):
        make_loggers(cfg.get("logger"), info)
    log_tables({"loop": (("run", "turn", "version", "other", "original", "gain", "p"), lines)})
    log_images({"feedback_loop": picture})
    console.print(f"picture:  {show.near(picture)}", highlight=False)
    show.where(record)
