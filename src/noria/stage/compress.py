"""`stage=compress`: an artifact made smaller, one step after the other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from hydra.utils import instantiate
from omegaconf import DictConfig

from noria.artifact import bundle
from noria.artifact.bundle import BACKEND, COMPRESSION, SOURCE, WHY
from noria.common.console import get_console
from noria.common.errors import UserError
from noria.common.names import ARTIFACT_FILE
from noria.common.swap import replace_folder
from noria.compression.artifact import network_bytes
from noria.compression.step import Rows, Step
from noria.config.rules.compression import named
from noria.data.batch.encoded import Encoded
from noria.stage.exits import making_smaller
from noria.stage.gate import hold_against, place_for
from noria.stage.parts import open_form, own_kinds
from noria.stage.recovery import recovered
from noria.stage.run import open_record, plain, recording, refuse_many_processes


def compress(
    cfg: DictConfig,
    choices: dict[str, Any],
    multirun: bool,
    *,
    steps: list[Any],
    teacher: bool = False,
    output: str | None = None,
    overwrite: bool = False,
    split: Literal["train", "val", "test"] | None = "val",
    margin: Annotated[float, Ge(0)] = 0.01,
) -> None:
    """Makes an artifact of an artifact by the steps, in their order, and then holds the two against each other.

    Every step leaves a whole artifact in the run's folder, and so does the training after it: a run that was stopped
    goes on with `resume=<folder>`, from the last of them or from the training's last checkpoint.

    What is not shown to be no worse, or is slower, is kept and marked: `stage=serve` refuses it unless it is told.

    Args:
        steps: names of `compression`; or one with settings that go over those there, `{prune_magnitude: {ratio: 0.3}}`.
            One may come twice.
        teacher: the training after a step learns from the artifact that all began with as well, by the usual settings
            of `noria.task.wrapper.distillation.Distillation`.
        output: where the artifact goes; None: into the run's folder.
        overwrite: an artifact that lies at `output` gives way; False refuses that.
        split: the rows that both answer, of the artifact's own data or of `data`; None: nothing is measured.
        margin: how much worse is still "no worse", in units of each metric.

    Raises:
        UserError: a step cannot be done to this artifact, or something lies at `output`.
        RunError: the disk is full.
    """
    refuse_many_processes("compress")
    record = open_record(cfg, "compress", choices)
    with recording(record):
        source = Path(cfg.artifact)
        goal = place_for(source, output, overwrite or bool(cfg.resume), record)
        if (backend := bundle.read_facts(source).get(BACKEND)) is not None:
            raise UserError(
                f"artifact={source} {WHY[backend]}, of which nothing can be cut: name what it was made from."
            )
        with making_smaller(record.folder):
            made = _done(cfg, choices, source, record.folder, steps, source if teacher else None)
            record.update(compress=bundle.read_facts(made[-1])[COMPRESSION])
            record.data["paths"]["artifact"] = str(goal)
            _put(made, source, goal)
        hold_against(cfg, record, source, goal, split, margin)
        stays = Path(
            bundle.read_facts(goal)[SOURCE]
        )  # what training goes on from, where the artifact cannot be trained
        for folder in record.folder.glob("step-*"):
            if folder.resolve() != stays:
                shutil.rmtree(folder)


def _done(
    cfg: DictConfig, choices: dict[str, Any], source: Path, home: Path, steps: list[Any], teacher: Path | None
) -> list[Path]:
    """The artifacts that the steps leave, each in a folder of its own."""
    made, zeros = [source], _has_zeros(cfg, source)
    for number, entry in enumerate(steps, 1):
        name, settings = named(entry) or ("", {})
        node = {**plain(cfg.compression[name]), **settings}
        step: Step = instantiate(node)
        zeros = zeros or step.leaves_zeros
        for turn in range(1, step.rounds + 1):
            folder = home / f"step-{number}-{turn}"
            if not (folder / ARTIFACT_FILE).is_file():  # an earlier part of this run may have done it
                used = {key: value for key, value in node.items() if not key.startswith("_")}
                said = f"{name}, round {turn} of {step.rounds}" if step.rounds > 1 else name
                get_console().print(f"step {number}: {said}", highlight=False, markup=False)
                _apply(cfg, step, made[-1], folder, turn, {"name": name, "settings": used})
            if step.recover_epochs:
                fit = home / f"fit-{number}-{turn}"
                folder = recovered(cfg, choices, folder, fit, step.recover_epochs, zeros, teacher)
            made.append(folder)
    return made


def _has_zeros(cfg: DictConfig, source: Path) -> bool:
    """Whether an earlier compression has left zeros in the artifact."""
    nodes = [cfg.compression.get(one["name"]) for one in bundle.read_facts(source).get(COMPRESSION, [])]
    return any(instantiate(node).leaves_zeros for node in nodes if node is not None)


def _apply(cfg: DictConfig, step: Step, before: Path, folder: Path, turn: int, what: dict[str, Any]) -> None:
    """Writes what a step makes of an artifact, with what it did, in one move."""
    opened = bundle.open_artifact(before, own_kinds(cfg))
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    said = step.apply(opened, building, _rows(cfg, before), turn)
    did = {**what, "round": turn, **said, "bytes": network_bytes(building)}
    earlier = opened.facts.get(COMPRESSION, [])
    bundle.write_facts(building, {**bundle.read_facts(building), COMPRESSION: [*earlier, did]})
    os.replace(building, folder)


def _rows(cfg: DictConfig, artifact: Path) -> Rows:
    """What reads the training rows, once that is asked for."""

    def read() -> Encoded:
        data = instantiate(cfg.data).bind(open_form(artifact, cfg), bundle.open_tokenizer(artifact), cfg.seed)
        data.setup()
        found: Encoded = data.encoded("train")
        return found

    return read


def _put(made: list[Path], source: Path, goal: Path) -> None:
    """Puts the last artifact at its place, in one move.

    What cannot be trained names as its source the artifact that training can go on from, which stays.
    """
    *before, last = made
    facts = bundle.read_facts(last)
    from_which = before[-1] if BACKEND in facts else source
    goal.parent.mkdir(parents=True, exist_ok=True)
    for half in goal.parent.glob(f".{goal.name}.*"):  # a kill has left it
        shutil.rmtree(half, ignore_errors=True)
    building = goal.with_name(f".{goal.name}.{os.getpid()}")
    shutil.copytree(last, building)
    bundle.write_facts(building, {**facts, SOURCE: str(from_which.resolve())})
    replace_folder(building, goal)
