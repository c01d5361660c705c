"""Rules on learning from a teacher. They look whether its artifact is there, never what is inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.common.hardware import Machine
from noria.common.names import ARTIFACT_FILE
from noria.config.rules.facts import at, attributes, stage, target_name, trains
from noria.config.rules.registry import rule

WRAPPER = "task.wrapper"


@rule
def teacher_of_another_stage(config: dict[str, Any], machine: Machine) -> str | None:
    """`task/wrapper=distillation` with a stage other than fit, which alone learns from a teacher."""
    if not at(config, WRAPPER) or trains(config):
        return None
    return f"task/wrapper=… says how stage=fit learns, and the stage is {stage(config)}: leave it out."


@rule
def kind_that_no_teacher_teaches(config: dict[str, Any], machine: Machine) -> str | None:
    """`task/wrapper=distillation` with a task that cannot be learnt from a teacher."""
    if not at(config, WRAPPER) or attributes(config.get("task")).get("teacher_says"):
        return None
    return (
        f"task/wrapper=…: {target_name(config.get('task'))} cannot be learnt from a teacher. Leave it out "
        "(task/wrapper=none)."
    )


@rule
def teacher_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`task.wrapper.teacher` names no folder with a `noria.yaml`."""
    given = at(config, f"{WRAPPER}.teacher")
    if not isinstance(given, str) or not trains(config):
        return None
    folder = Path(given).expanduser()
    if (folder / ARTIFACT_FILE).is_file():
        return None
    if not folder.is_dir():
        return f"{WRAPPER}.teacher={given}: there is no such folder. A fit leaves an artifact in <run>/artifact."
    inner = folder / "artifact"
    meant = f" Did you mean {inner}?" if (inner / ARTIFACT_FILE).is_file() else ""
    return f"{WRAPPER}.teacher={given} holds no {ARTIFACT_FILE}, so it is no artifact.{meant}"


@rule
def states_that_are_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`task.wrapper.hidden` with a task that compares the texts of a step, `model.attn_implementation=unpadded`, which
    computes only the states that a head reads, or `trainer.compile`."""
    if not at(config, f"{WRAPPER}.hidden") or not trains(config):
        return None
    said = f"{WRAPPER}.hidden={at(config, f'{WRAPPER}.hidden')}"
    if attributes(config.get("task")).get("whole_step"):
        return f"{said}: {target_name(config.get('task'))} learns vectors, and not the states below: set it to 0."
    if at(config, "model.attn_implementation") == "unpadded":
        return f"{said} reads the states of all tokens, and model.attn_implementation=unpadded drops some: take auto."
    if at(config, "trainer.compile"):
        return f"{said} reads states inside the network, which trainer.compile=true hides: leave one of the two out."
    return None
