"""What several rules ask of a config. Every question has an answer for a config that lacks the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noria.common.hardware import Machine, device_type
from noria.config.signature import class_attributes


def at(config: dict[str, Any], key: str) -> Any:
    """The value at a dotted key, None where there is none."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def target_name(value: object) -> str:
    """The last part of a component's `_target_`; empty for anything else."""
    target = value.get("_target_") if isinstance(value, Mapping) else None
    return target.rpartition(".")[2] if isinstance(target, str) else ""


def stage(config: dict[str, Any]) -> str:
    """The verb: fit, evaluate, predict, …"""
    return target_name(config.get("stage"))


def trains(config: dict[str, Any]) -> bool:
    return stage(config) in ("fit", "")


def attributes(component: object) -> dict[str, object]:
    """The literal class attributes of a component, read from its source."""
    target = component.get("_target_") if isinstance(component, Mapping) else None
    return class_attributes(target) if isinstance(target, str) else {}


def needs(task: object) -> list[tuple[str, ...]]:
    """The sets of columns of which a task needs one, as its form says; none where that is not known."""
    form = attributes(task).get("form_path")
    found = class_attributes(form).get("needs") if isinstance(form, str) else None
    return list(found) if isinstance(found, tuple) else []


def generated(task: object) -> tuple[str, ...]:
    """The columns of a task's predictions that are there only where texts are generated."""
    form = attributes(task).get("form_path")
    found = class_attributes(form).get("generated") if isinstance(form, str) else None
    return found if isinstance(found, tuple) else ()


def answers(config: dict[str, Any]) -> dict[str, str]:
    """The columns of the task's predictions and what each holds, as its form says; empty where that is not known."""
    form = attributes(config.get("task")).get("form_path")
    variants = class_attributes(form).get("answers") if isinstance(form, str) else None
    if not isinstance(variants, dict) or not variants:
        return {}
    return dict(variants.get(at(config, "task.kind")) or (next(iter(variants.values())) if len(variants) == 1 else {}))


def gives(data: object) -> tuple[str, ...]:
    """The columns of a source's rows; none where that is not known."""
    found = attributes(data).get("gives")
    return found if isinstance(found, tuple) else ()


def fits(needed: list[tuple[str, ...]], given: tuple[str, ...]) -> bool:
    """Whether rows with these columns are what a task needs; True where one of the two is not known."""
    return not needed or not given or any({*columns} <= {*given} for columns in needed)


def metrics(config: dict[str, Any]) -> dict[str, Any]:
    group = config.get("metric")
    return group if isinstance(group, dict) else {}


def accelerator(config: dict[str, Any], machine: Machine) -> str:
    """What Lightning would run on: cuda, mps, cpu, or a name given outright of what is not here."""
    given = str(at(config, "trainer.accelerator") or "auto")
    found = device_type(given, machine.gpu_count > 0, machine.has_mps)
    return given if found == "cpu" and given != "auto" else found


def devices(config: dict[str, Any], machine: Machine) -> int | list[int]:
    """How many devices of a node, or which ones, by Lightning's reading of `trainer.devices`."""
    given = at(config, "trainer.devices")
    if isinstance(given, str) and "," in given:
        given = [int(part) for part in given.split(",") if part.strip().lstrip("-").isdecimal()]
    elif isinstance(given, str) and given.lstrip("-").isdecimal():
        given = int(given)
    if isinstance(given, list) and given != [-1]:
        return given
    if isinstance(given, int) and given != -1:
        return given
    return max(machine.gpu_count, 1) if accelerator(config, machine) == "cuda" else 1


def is_fsdp(config: dict[str, Any]) -> bool:
    strategy = at(config, "trainer.strategy") or config.get("strategy")
    name = strategy.get("_target_") if isinstance(strategy, dict) else strategy
    return isinstance(name, str) and "fsdp" in name.lower()
