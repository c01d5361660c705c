"""One turn of the wheel: what users have said becomes a challenger, and the better model is the champion."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from noria.artifact import bundle
from noria.cycle.gate import Decision, decide
from noria.cycle.reasons import Reason, Thresholds, reasons, worth_training
from noria.data.module import DataModule
from noria.data.source.feedback import FeedbackData
from noria.feedback.store import Store
from noria.inference.runner import Runner
from noria.registry.registry import Registry, Version
from noria.report import cycle as cycle_report
from noria.report import show
from noria.stage.child import child_fit, trained_on
from noria.stage.parts import device_of, make_loggers, open_form, own_kinds, precision_of
from noria.stage.run import open_record, plain, recording, shareable
from noria.tracking.beside import beside
from noria.tracking.looks import look
from noria.tracking.record import Record
from noria.tracking.record_file import jsonable
from noria.tracking.run_info import RunInfo

KNOWN = 2000  # rows of the original data that what was served is held against
ORIGINAL, FEEDBACK = "frozen test", "trusted feedback"
FEEDBACK_DATA = f"{FeedbackData.__module__}.{FeedbackData.__qualname__}"


@dataclass(frozen=True)
class Plan:
    """What all turns of one command have in common.

    Args:
        choices: the choice made in each config group.
        feedback: the URL of the store.
        learnt: keys of `data=feedback`: what of the feedback is learnt from.
        thresholds: when there is reason to train.
        force: train without one.
        take_marked: make a first champion of what its measurement speaks against, too.
        margin, alpha: when a challenger is promoted.
    """

    choices: dict[str, Any]
    versions: Registry
    feedback: str
    learnt: dict[str, Any]
    thresholds: Thresholds
    force: bool
    take_marked: bool
    margin: float
    alpha: float


def turn(cfg: DictConfig, plan: Plan) -> None:
    """One turn, in a run folder of its own.

    An empty registry takes the artifact as its first champion. Killed at any point, the old or the new champion is
    left, whole.

    Raises:
        UserError: no feedback can be learnt from, or another process turns this registry.
    """
    versions = plan.versions
    with versions.lock(), recording(open_record(cfg, "cycle", plan.choices)) as record:
        champion = versions.champion() or first_champion(versions, Path(cfg.artifact), plan.take_marked)
        record.update(champion=champion.name, registry=str(versions.folder))
        read = datetime.now(UTC)
        ours = _feedback_data(cfg, plan, champion)
        ours.setup()
        record.update(data={"fingerprints": ours.fingerprints, **ours.report})
        show.data(ours)
        found = _reasons(cfg, plan, champion, ours)
        record.update(reasons=jsonable(found))
        cycle_report.reasons(found)
        kept = None
        if worth_training(found) or plan.force:
            made = {"data": _node(cfg, plan), "model": trained_on(champion.folder, plain(cfg.model))}
            choices = {**plan.choices, "data": "feedback", "model": "hub"}
            challenger = child_fit(cfg, choices, record.folder / "fit", **made)
            decision = _judged(cfg, plan, champion, challenger, ours, record)
            kept = versions.add(challenger, _lineage(champion, decision, record, read))
            if decision.promote:
                versions.promote(kept, decision.said)
        else:
            decision = Decision(False, "stays: no reason to train (stage.force=true trains anyway)", 0.0, {})
        record.update(decision={"version": kept.name if kept else None, **jsonable(decision)})
        info = RunInfo(record.folder, "cycle", "cycle", record.data["wandb"]["id"], shareable(cfg), {})
        with beside("The start of W&B"):
            make_loggers(cfg.get("logger"), info)
        cycle_report.turn(record, versions, champion, kept, decision)


def first_champion(versions: Registry, artifact: Path, take_marked: bool = False) -> Version:
    """Makes an artifact the first version and the champion of an empty registry.

    Raises:
        UserError: it was made of another one and not shown to be as good and as quick, and no `take_marked`.
    """
    if not take_marked:
        bundle.refuse_marked(artifact, bundle.read_facts(artifact), "stage.take_marked=true takes it all the same.")
    first = versions.add(artifact, {"parent": None, "from": str(artifact), "said": "the first champion"})
    versions.promote(first, "the first champion")
    return first


def _feedback_data(cfg: DictConfig, plan: Plan, champion: Version) -> FeedbackData:
    """The feedback beside the original data, which is what the artifact's own config names."""
    tokenizer = bundle.open_tokenizer(champion.folder)
    made: FeedbackData = instantiate(_node(cfg, plan))
    return made.bind(open_form(champion.folder, cfg), tokenizer, cfg.seed)


def _node(cfg: DictConfig, plan: Plan) -> DictConfig:
    """The config of `data=feedback` that this turn learns from."""
    original = plain(cfg.data)
    if original.get("_target_") == FEEDBACK_DATA:  # the champion comes from an earlier turn
        original = dict(original["original"])
    kept: dict[str, Any] = {
        name: original[name] for name in ("batch_size", "batch_tokens", "max_length") if name in original
    }
    node: dict[str, Any] = {"_target_": FEEDBACK_DATA, "url": plan.feedback, **kept, **plan.learnt}
    node["original"] = {**original, "_partial_": True}
    return OmegaConf.create(node)


def _reasons(cfg: DictConfig, plan: Plan, champion: Version, data: FeedbackData) -> list[Reason]:
    """What users have said of the champion and sent to it, held against what it says of rows like its training's."""
    form = open_form(champion.folder, cfg)
    # The first champion may have been served under another name, before there was a registry; and a model that is
    # served inside of something else, such as an index, always is.
    turned = champion.facts.get("parent")
    name = champion.name if turned and not form.heard else None
    since = datetime.fromisoformat(champion.facts["added"]) if turned and form.heard else None
    with closing(Store(plan.feedback)) as store:
        judged = [one for one in store.corrections(since=since) if name is None or one.prediction.version == name]
        kept = [one for one in store.predictions(version=name) if one.request is not None and one.form == form.path()]
    # What a challenger was made of that is not the champion now is nothing new.
    tried = [
        v.facts.get("heard") or v.facts["added"]
        for v in plan.versions.versions()
        if v.facts.get("parent") == champion.name
    ]
    new = len({one.prediction.id for one in judged if not tried or one.created.isoformat() > max(tried)})
    wrong = sum(not one.correct for one in judged)
    if not kept:  # nothing that could have drifted
        return reasons(new, wrong, len(judged), [], [], plan.thresholds)
    service = form.service()
    split = "val" if "val" in data.original.splits else "train"
    said = answers_of(cfg, champion.folder, data.original, split).slice(0, KNOWN).to_pylist()
    asked = data.ballot.requests(data.original.splits[split])[:KNOWN]
    served = [(service.text(one.request or {}), service.group(one.answer)) for one in kept]
    known = [(service.text(a), service.group(service.answer(b))) for a, b in zip(asked, said, strict=True)]
    return reasons(new, wrong, len(judged), served, known, plan.thresholds)


def _judged(
    cfg: DictConfig,
    plan: Plan,
    champion: Version,
    challenger: Path,
    data: FeedbackData,
    record: Record,
) -> Decision:
    """Both models on the original test set and on the feedback that nobody has trained on."""
    sets: dict[str, DataModule] = {FEEDBACK: data}
    if "test" in data.original.splits:
        sets = {ORIGINAL: data.original, **sets}
        record.data["test_looks"] = look(Path(cfg.paths.runs), data.original.fingerprints["test"], record.folder)
    right = {
        name: (right_rows(cfg, champion.folder, rows), right_rows(cfg, challenger, rows)) for name, rows in sets.items()
    }
    return decide(right, len(plan.versions.versions()), margin=plan.margin, alpha=plan.alpha)


def right_rows(cfg: DictConfig, artifact: Path, data: DataModule) -> np.ndarray:
    """Whether an artifact is right on each row of the test split (n,)."""
    return open_form(artifact, cfg).right(answers_of(cfg, artifact, data, "test"))


def answers_of(cfg: DictConfig, artifact: Path, data: DataModule, split: str) -> pa.Table:
    """What an artifact answers to the rows of a split, as its predictions hold it."""
    runner = Runner(bundle.open_artifact(artifact, own_kinds(cfg)), precision_of(cfg), device_of(cfg))
    return runner.measure(data, split, {}, data.eval_batch_size, respond=True).predictions


def _lineage(champion: Version, decision: Decision, record: Record, read: datetime) -> dict[str, Any]:
    return {
        "parent": champion.name,
        "run": str(record.folder),
        "wandb": record.data["wandb"]["id"],
        "heard": read.isoformat(),
        "promoted": decision.promote,
        "said": decision.said,
        "judged": jsonable(decision.sets),
        "feedback": {
            name: record.data["data"].get(name) for name in ("feedback", "clients", "replayed", "fingerprints")
        },
    }
