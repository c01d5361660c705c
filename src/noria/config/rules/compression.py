"""Rules on the steps by which `stage=compress` makes an artifact smaller."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from noria.common.errors import did_you_mean
from noria.common.hardware import Machine
from noria.config.rules.facts import at, attributes, stage, target_name
from noria.config.rules.registry import rule
from noria.config.schema import component


def named(entry: Any) -> tuple[str, dict[str, Any]] | None:
    """The name of an entry of `stage.steps` and the settings that it brings; None where it is no such entry."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, settings),) = entry.items()
        if isinstance(name, str) and isinstance(settings or {}, dict):
            return name, settings or {}
    return None


@rule
def steps_that_are_none(config: dict[str, Any], machine: Machine) -> str | None:
    """`stage.steps` is empty, names no method of `compression`, or brings settings that one does not take."""
    if stage(config) != "compress":
        return None
    known, steps = config.get("compression") or {}, at(config, "stage.steps")
    if not steps:
        return (
            f"stage.steps names no step: type some of {', '.join(known)}, such as 'stage.steps=[{next(iter(known))}]'."
        )
    for number, entry in enumerate(steps):
        found = named(entry)
        if found is None:
            return (
                f"stage.steps[{number}] = {entry!r} is neither a name nor one name with its settings: {{name: {{…}}}}."
            )
        name, settings = found
        if name not in known:
            return f"stage.steps[{number}] = '{name}' is no step. {did_you_mean(name, known)}"
        if wrong := component(f"stage.steps[{number}].{name}", {**known[name], **settings}):
            return wrong[0]
    return None


@rule
def step_after_the_last_one(config: dict[str, Any], machine: Machine) -> str | None:
    """A step of `stage.steps` stands after one that leaves nothing to be trained or cut, such as `quantize_int8`."""
    steps = _steps(config)
    for (name, node), (after, _) in pairwise(steps):
        if attributes(node).get("ends"):
            return (
                f"stage.steps: '{after}' comes after '{name}', of which nothing can be trained or cut any more: put "
                f"'{name}' last."
            )
    return None


@rule
def step_for_another_kind_of_work(config: dict[str, Any], machine: Machine) -> str | None:
    """A step of `stage.steps` takes only what reads whole texts (classification, tags, answers, vectors) or only
    decoders, and this artifact's task is another."""
    task = attributes(config.get("task"))
    others = {
        "whole texts": (task.get("packed") is False, "what reads whole texts: classes, tags, answers, vectors"),
        "decoder": (task.get("architectures") not in (None, ("decoder",)), "decoders"),
    }
    for name, node in _steps(config):
        wrong, what = others.get(str(attributes(node).get("reads")), (False, ""))
        if wrong:
            return (
                f"stage.steps: '{name}' is for {what}. This artifact's task, {target_name(config.get('task'))}, is "
                "another: leave the step out."
            )
    return None


@rule
def teacher_without_pupil(config: dict[str, Any], machine: Machine) -> str | None:
    """`stage.teacher=true` where no step of `stage.steps` is followed by training, or no teacher teaches this task."""
    if stage(config) != "compress" or not at(config, "stage.teacher"):
        return None
    if not attributes(config.get("task")).get("teacher_says"):
        return f"stage.teacher=true: {target_name(config.get('task'))} cannot be learnt from a teacher. Leave it out."
    steps = _steps(config)
    if steps and not any(node.get("recover_epochs") for _, node in steps):
        return "stage.teacher=true: no step is followed by training. Give one epochs, such as recover_epochs: 1."
    return None


@rule
def zeros_that_an_adapter_would_fill(config: dict[str, Any], machine: Machine) -> str | None:
    """A pruned network would be trained by an adapter (`model.peft`), which is merged into its zeros."""
    steps = _steps(config)
    first = next((i for i, (_, node) in enumerate(steps) if attributes(node).get("leaves_zeros")), len(steps))
    trained = [name for name, node in steps[first:] if node.get("recover_epochs")]
    if not trained or not at(config, "model.peft"):
        return None
    return (
        f"stage.steps: the training in '{trained[0]}' would be by an adapter, which is merged into the weights "
        "that are zero: type model/peft=none, which trains the weights themselves."
    )


def _steps(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The steps with their settings; none where they are not all known."""
    known = config.get("compression") or {}
    if stage(config) != "compress":
        return []
    found = [named(entry) for entry in at(config, "stage.steps") or []]
    if any(one is None or not isinstance(known.get(one[0]), dict) for one in found):
        return []
    return [(name, {**known[name], **settings}) for name, settings in filter(None, found)]
