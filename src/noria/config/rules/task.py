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
from noria.config.rules.facts import at, attributes, is_number, kind, metrics, target_name, trains
from noria.config.rules.registry import rule

LOSS = "val/loss"


@rule
def model_that_cannot_do_the_task(config: dict[str, Any], machine: Machine) -> str | None:
    """`model.architecture` is none of the `architectures` of the task (`both` fits either)."""
    fitting = attributes(config.get("task")).get("architectures")
    architecture = at(config, "model.architecture")
    if not isinstance(fitting, tuple | list) or not isinstance(architecture, str):
        return None
    if architecture in fitting or "both" in (architecture, *fitting):
        return None
    name = target_name(config.get("task"))
    return (
        f"model.architecture={architecture}, but the task {name} needs {_listed(fitting, 'or')}: choose "
        "another model (model=…), or another task (task=…)."
    )


@rule
def metric_that_cannot_measure_the_task(config: dict[str, Any], machine: Machine) -> str | None:
    """A metric of `metric=[…]` does not measure this `task.kind`."""
    task_kind = kind(config)
    if task_kind is None:
        return None
    unfit = {name: found for name, metric in metrics(config).items() if (found := _unfit(metric, task_kind))}
    if not unfit:
        return None
    what = "; ".join(f"metric '{name}' measures {_listed(kinds)}" for name, kinds in unfit.items())
    fitting = _metrics_for(task_kind)
    way = f"take metric=[{','.join(fitting)}] or some of them" if fitting else "take it out of metric=[…]"
    return f"{what}, but task.kind={task_kind}: {way}."


@rule
def monitored_number_that_is_not_measured(config: dict[str, Any], machine: Machine) -> str | None:
    """`monitor.metric` is neither `val/loss` nor `val/<name>` of a metric of this run."""
    monitored = at(config, "monitor.metric")
    if not isinstance(monitored, str) or not isinstance(config.get("metric"), dict) or not trains(config):
        return None
    measured = [LOSS, *(f"val/{name}" for name in metrics(config))]
    if monitored in measured:
        return None
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
def label_smoothing_without_single_label(config: dict[str, Any], machine: Machine) -> str | None:
    """`task.label_smoothing` above 0 with a `task.kind` other than `single_label`."""
    smoothing, task_kind = at(config, "task.label_smoothing"), kind(config)
    if not is_number(smoothing) or not smoothing > 0 or task_kind in (None, "single_label"):
        return None
    return f"task.label_smoothing={smoothing} is only for task.kind=single_label, not {task_kind}: set it to 0."


@rule
def class_weights_without_classes(config: dict[str, Any], machine: Machine) -> str | None:
    """`task.class_weights` with `task.kind=regression`."""
    if at(config, "task.class_weights") is None or kind(config) != "regression":
        return None
    return "task.class_weights has no meaning for task.kind=regression, which has no classes: set it to null."


def _unfit(metric: object, task_kind: str) -> list[str]:
    """The kinds that a metric measures, if this one is not among them."""
    kinds = attributes(metric).get("kinds")
    return list(kinds) if isinstance(kinds, tuple | list) and kinds and task_kind not in kinds else []


def _metrics_for(task_kind: str) -> list[str]:
    """The shipped metrics that measure a kind."""
    return [path.stem for path in sorted(_metric_files()) if task_kind in _kinds_of(path)]


def _metric_files() -> Iterable[Path]:
    return (conf_dir() / "metric").glob("*.yaml")


def _kinds_of(path: Path) -> list[str]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    parts = content.values() if isinstance(content, dict) else []
    return [kind for part in parts for kind in attributes(part).get("kinds", ())]  # type: ignore[attr-defined]


def _listed(words: Iterable[str], last: str = "and") -> str:
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end
