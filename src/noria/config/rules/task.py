"""Rules on task, model, metrics and the monitored number. They read class attributes from source,
and know no object."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from noria.common.errors import nearest
from noria.common.hardware import Machine
from noria.common.paths import conf_dir
from noria.config.rules.facts import answers, at, attributes, generated, metrics, target_name, trains
from noria.config.rules.registry import rule

LOSS = "val/loss"


@rule
def model_that_cannot_do_the_task(config: dict[str, Any], machine: Machine) -> str | None:
    """`model.architecture` is none of the `architectures` of the task."""
    fitting = attributes(config.get("task")).get("architectures")
    architecture = at(config, "model.architecture")
    if not isinstance(fitting, tuple | list) or not isinstance(architecture, str):
        return None
    if architecture in fitting:
        return None
    name = target_name(config.get("task"))
    return (
        f"model.architecture={architecture}, but the task {name} needs {_listed(fitting, 'or')}: choose "
        "another model (model=…), or another task (task=…)."
    )


@rule
def metric_that_cannot_measure_the_task(config: dict[str, Any], machine: Machine) -> str | None:
    """A metric of `metric=[…]` reads what the answers of this task do not hold."""
    held = answers(config)
    if not held:
        return None
    unfit = {name: reads for name, metric in metrics(config).items() if (reads := _unread(metric, held))}
    if not unfit:
        return None
    what = "; ".join(f"metric '{name}' reads {_listed(reads)}" for name, reads in unfit.items())
    fitting = [path.stem for path in sorted((conf_dir() / "metric").glob("*.yaml")) if _fits(path, held)]
    way = f"take metric=[{','.join(fitting)}] or some of them" if fitting else "take it out of metric=[…]"
    variant = at(config, "task.kind")
    of = f"task.kind={variant}" if variant else f"the task {target_name(config.get('task'))}"
    return f"{what}, which the answers of {of} do not hold: {way}."


@rule
def monitored_number_that_is_not_measured(config: dict[str, Any], machine: Machine) -> str | None:
    """`monitor.metric` is neither `val/loss` nor `val/<name>` of a metric of this run."""
    monitored = at(config, "monitor.metric")
    if not isinstance(monitored, str) or not isinstance(config.get("metric"), dict) or not trains(config):
        return None
    at_end = [] if at(config, "task.generate_in_validation") else _of_texts(config)
    measured = [LOSS, *(f"val/{name}" for name in metrics(config) if name not in at_end)]
    if monitored in measured:
        return None
    if monitored.removeprefix("val/") in at_end:
        way = (
            "task.generate_in_validation=true measures it in every validation"
            if "generate_in_validation" in (config.get("task") or {})
            else "this task generates none while it trains"
        )
        return (
            f"monitor.metric={monitored} is a number of generated texts, which is measured when the training is over: "
            f"{way}. Or set monitor.metric to one of {', '.join(measured)}."
        )
    match = nearest(monitored, measured)
    meant = f"Did you mean {match}? " if match else ""
    return (
        f"monitor.metric={monitored} is not measured in this run. {meant}Set monitor.metric to one of "
        f"{', '.join(measured)}, or measure more (metric=[…])."
    )


@rule
def monitored_in_the_wrong_direction(config: dict[str, Any], machine: Machine) -> str | None:
    """`monitor.mode` is `max` for a number of which less is better, or `min` where more is."""
    monitored, mode = at(config, "monitor.metric"), at(config, "monitor.mode")
    if monitored == LOSS:
        right: object = "min"
    else:
        right = attributes(metrics(config).get(str(monitored).removeprefix("val/"))).get("mode")
    if not trains(config) or mode not in ("min", "max") or right not in ("min", "max") or mode == right:
        return None
    better = "less" if right == "min" else "more"
    return f"monitor.mode={mode}, but of {monitored} {better} is better: take monitor.mode={right}."


@rule
def key_of_the_task_without_meaning(config: dict[str, Any], machine: Machine) -> str | None:
    """A key of the task, such as `task.label_smoothing`, with a `task.kind` for which it means nothing."""
    task, variant = config.get("task"), at(config, "task.kind")
    only = attributes(task).get("only_for")
    for key, variants in only.items() if isinstance(only, dict) else ():
        value = at(config, f"task.{key}")
        if value and variant is not None and variant not in variants:
            of = _listed([f"task.kind={name}" for name in variants], "or")
            return f"task.{key}={value} is only for {of}, not {variant}: leave it out."
    return None


def _of_texts(config: dict[str, Any]) -> list[str]:
    """The metrics that read texts which the model has generated."""
    made = {*generated(config.get("task"))}
    reads = {name: attributes(metric).get("reads") for name, metric in metrics(config).items()}
    return [name for name, columns in reads.items() if isinstance(columns, dict) and made & {*columns}]


def _unread(metric: object, held: dict[str, str]) -> list[str]:
    """What a metric reads, if these answers do not hold all of it; of a metric of one's own it may not be known."""
    reads = attributes(metric).get("reads")
    if not isinstance(reads, dict) or all(held.get(column) in contents for column, contents in reads.items()):
        return []
    return [f"{column} ({_listed(contents, 'or')})" for column, contents in reads.items()]


def _fits(path: Path, held: dict[str, str]) -> bool:
    """Whether a metric that comes with Noria measures these answers."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return not any(_unread(part, held) for part in content.values())


def _listed(words: Iterable[str], last: str = "and") -> str:
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
