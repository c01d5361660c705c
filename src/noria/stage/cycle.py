"""`stage=cycle`: feedback → reason to train → fine-tune from the champion → judge → promote, or say why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Interval
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from noria.artifact import bundle
from noria.common.command import command
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.cycle.gate import Decision, decide
from noria.cycle.reasons import Reason, Thresholds, reasons, worth_training
from noria.data.module import DataModule
from noria.data.source.feedback import FeedbackData
from noria.feedback.store import Store, StoreDown
from noria.inference.runner import Runner
from noria.registry.registry import Registry, Version
from noria.stage import cycle_report, show
from noria.stage.fit import fit
from noria.stage.parts import device_of, open_form, own_kinds, precision_of
from noria.stage.run import inner_fit, inside, open_record, plain, recording, refuse_many_processes
from noria.tracking.looks import look
from noria.tracking.record import Record
from noria.tracking.record_file import jsonable

KNOWN = 2000  # rows of the original data that what was served is held against
ORIGINAL, FEEDBACK = "frozen test", "trusted feedback"


def cycle(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    action: Literal["turn", "rollback", "status", "history"] = "turn",
    registry: str = "registry",
    feedback: str = "sqlite:///feedback.db",
    force: bool = False,
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
    heard = {"replay": replay, "weigh": weigh, "cap": cap, "least": least, "distrust": distrust}
    data = partial(_feedback_data, cfg, feedback, {**heard, "test_fraction": held_out})
    thresholds = Thresholds(rows, error, drift)

    def turn(cfg: DictConfig) -> None:
        _turn(cfg, choices, versions, feedback, data, thresholds, force, margin, alpha)

    if watch:
        _keep_turning(cfg, turn, feedback, rows, every)
    else:
        turn(cfg)


def _keep_turning(cfg: DictConfig, turn: Callable[[DictConfig], None], url: str, rows: int, every: float) -> None:
    """Turns, then waits until users have said so much more: what nothing new has come to would be judged alike."""
    for number in count(1):
        folder = Path(cfg.paths.run_dir) / f"turn-{number:04}"
        if folder.exists():  # of an earlier watch in this folder
            continue
        began = datetime.now(UTC)
        try:
            turn(inside(cfg, folder))
        except (UserError, StoreDown) as problem:  # such as that there is no feedback yet
            get_console().print(str(problem), style="yellow", highlight=False)
        get_console().print(f"Waiting for {rows:,} more corrections (Ctrl-C ends).", highlight=False)
        while _said_since(url, began) < rows:
            time.sleep(every)


def _said_since(url: str, moment: datetime) -> int:
    """How many corrections have come; none while the database does not answer."""
    try:
        with closing(Store(url)) as store:
            return sum(1 for _ in store.corrections(since=moment))
    except (UserError, StoreDown):
        return 0


def _turn(
    cfg: DictConfig,
    choices: dict[str, Any],
    versions: Registry,
    url: str,
    data: partial[FeedbackData],
    thresholds: Thresholds,
    force: bool,
    margin: float,
    alpha: float,
) -> None:
    with versions.lock(), recording(open_record(cfg, "cycle", choices)) as record:
        champion = versions.champion() or first_champion(versions, Path(cfg.artifact))
        record.update(champion=champion.name, registry=str(versions.folder))
        heard = datetime.now(UTC)
        ours = data(champion)
        ours.setup()
        record.update(data={"fingerprints": ours.fingerprints, **ours.report})
        show.data(ours)
        found = _reasons(cfg, versions, champion, ours, url, thresholds)
        record.update(reasons=jsonable(found))
        cycle_report.reasons(found)
        kept = None
        if worth_training(found) or force:
            challenger = _trained(cfg, choices, champion, record, data)
            decision = _judged(cfg, champion, challenger, ours, versions, record, margin, alpha)
            kept = versions.add(challenger, _lineage(champion, decision, record, heard))
            if decision.promote:
                versions.promote(kept, decision.said)
        else:
            decision = Decision(False, "stays: no reason to train (stage.force=true trains anyway)", 0.0, {})
        record.update(decision={"version": kept.name if kept else None, **jsonable(decision)})
        cycle_report.turn(cfg, record, versions, champion, kept, decision)


def first_champion(versions: Registry, artifact: Path) -> Version:
    """Makes an artifact the first version and the champion of an empty registry."""
    first = versions.add(artifact, {"parent": None, "from": str(artifact), "said": "the first champion"})
    versions.promote(first, "the first champion")
    return first


def _feedback_data(cfg: DictConfig, url: str, heard: dict[str, Any], champion: Version) -> FeedbackData:
    """The feedback beside the original data, which is what the artifact's own config names."""
    tokenizer = bundle.open_tokenizer(champion.folder)
    made: FeedbackData = instantiate(_node(cfg, url, heard))
    return made.bind(open_form(champion.folder, cfg), tokenizer, cfg.seed)


def _node(cfg: DictConfig, url: str, heard: dict[str, Any]) -> DictConfig:
    """The config of `data=feedback` that this turn learns from."""
    original = plain(cfg.data)
    if str(original.get("_target_", "")).endswith(".FeedbackData"):  # the champion comes from an earlier turn
        original = dict(original["original"])
    kept: dict[str, Any] = {
        name: original[name] for name in ("batch_size", "batch_tokens", "max_length") if name in original
    }
    node: dict[str, Any] = {"_target_": "noria.data.source.feedback.FeedbackData", "url": url, **kept, **heard}
    node["original"] = {**original, "_partial_": True}
    return OmegaConf.create(node)


def _reasons(
    cfg: DictConfig, versions: Registry, champion: Version, data: FeedbackData, url: str, thresholds: Thresholds
) -> list[Reason]:
    """What users have said of the champion and sent to it, held against what it says of rows like its training's."""
    form = open_form(champion.folder, cfg)
    service = form.service()
    # The first champion may have been served under another name, before there was a registry.
    name = champion.name if champion.facts.get("parent") else None
    with closing(Store(url)) as store:
        judged = [one for one in store.corrections() if name is None or one.prediction.version == name]
        kept = [one for one in store.predictions(version=name) if one.request is not None and one.form == form.path()]
    # What a challenger was made of that is not the champion now is nothing new.
    tried = [
        v.facts.get("heard") or v.facts["added"] for v in versions.versions() if v.facts.get("parent") == champion.name
    ]
    new = len({one.prediction.id for one in judged if not tried or one.created.isoformat() > max(tried)})
    split = "val" if "val" in data.original.splits else "train"
    said = answers_of(cfg, champion.folder, data.original, split)["prediction"].to_pylist()[:KNOWN]
    asked = data.ballot.requests(data.original.splits[split])[:KNOWN]
    served = [(service.text(one.request or {}), service.group(one.answer)) for one in kept]
    answers = (service.answer({"prediction": prediction}) for prediction in said)
    known = [(service.text(a), service.group(b)) for a, b in zip(asked, answers, strict=True)]
    return reasons(new, sum(not one.correct for one in judged), len(judged), served, known, thresholds)


def _trained(
    cfg: DictConfig, choices: dict[str, Any], champion: Version, record: Record, data: partial[FeedbackData]
) -> Path:
    """A challenger, fine-tuned from the champion on the feedback, in a run folder inside the turn's."""
    again: Any = inner_fit(cfg, record.folder / "fit")
    again.data = _node(*data.args)
    again.model = _from(champion, plain(cfg.model))
    fit(again, {**choices, "data": "feedback", "model": "hub"}, True, test=False)
    return record.folder / "fit" / "artifact"


def _from(champion: Version, model: dict[str, Any]) -> dict[str, Any]:
    """The config of the champion as a model to train on from: a folder of transformers, whatever it was made from."""
    kept = {name: value for name, value in model.items() if name not in ("revision", "new_head")}
    if str(model["_target_"]).startswith("noria."):
        kept["_target_"] = "noria.model.pretrained.Pretrained"
    return {**kept, "name": str(champion.folder)}


def _judged(
    cfg: DictConfig,
    champion: Version,
    challenger: Path,
    data: FeedbackData,
    versions: Registry,
    record: Record,
    margin: float,
    alpha: float,
) -> Decision:
    """Both models on the original test set and on the feedback that nobody has trained on."""
    sets: dict[str, DataModule] = {FEEDBACK: data}
    if "test" in data.original.splits:
        sets = {ORIGINAL: data.original, **sets}
        record.data["test_looks"] = look(Path(cfg.paths.runs), data.original.fingerprints["test"], record.folder)
    right = {
        name: (right_rows(cfg, champion.folder, rows), right_rows(cfg, challenger, rows)) for name, rows in sets.items()
    }
    return decide(right, len(versions.versions()), margin=margin, alpha=alpha)


def right_rows(cfg: DictConfig, artifact: Path, data: DataModule) -> np.ndarray:
    """Whether an artifact is right on each row of the test split (n,)."""
    return open_form(artifact, cfg).right(answers_of(cfg, artifact, data, "test"))


def answers_of(cfg: DictConfig, artifact: Path, data: DataModule, split: str) -> pa.Table:
    runner = Runner(bundle.open_artifact(artifact, own_kinds(cfg)), precision_of(cfg), device_of(cfg))
    return runner.measure(data, split, {}, data.eval_batch_size).predictions


def _lineage(champion: Version, decision: Decision, record: Record, heard: datetime) -> dict[str, Any]:
    return {
        "parent": champion.name,
        "run": str(record.folder),
        "wandb": record.data["wandb"]["id"],
        "heard": heard.isoformat(),
        "promoted": decision.promote,
        "said": decision.said,
        "judged": jsonable(decision.sets),
        "feedback": {
            name: record.data["data"].get(name) for name in ("feedback", "clients", "replayed", "fingerprints")
        },
    }


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
