"""Rules on data and what they are for. They read class attributes from source, and know no object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from noria.common.hardware import Machine
from noria.common.paths import conf_dir
from noria.config.rules.facts import at, attributes, fits, gives, is_number, needs, stage, target_name, trains
from noria.config.rules.registry import rule


@rule
def data_for_another_task(config: dict[str, Any], machine: Machine) -> str | None:
    """The data does not give the columns that the task needs."""
    needed, given = needs(config.get("task")), gives(config.get("data"))
    if not (trains(config) or stage(config) == "evaluate") or fits(needed, given):
        return None
    tasks = [name for name, part in _shipped("task") if needs(part) and fits(needs(part), given)]
    data = [name for name, part in _shipped("data") if gives(part) and fits(needed, gives(part))]
    return (
        f"data={target_name(config.get('data'))} is for {_or('task', tasks) or 'another task'}, but this task is "
        f"{target_name(config.get('task'))}: choose such a task, or {_or('data', data) or 'other data'}."
    )


@rule
def batch_without_room_for_a_row(config: dict[str, Any], machine: Machine) -> str | None:
    """`data.batch_tokens`, the room of a training batch, is below `data.max_length`, that of one row."""
    room, row = at(config, "data.batch_tokens"), at(config, "data.max_length")
    if not trains(config) or not is_number(room) or not is_number(row) or room >= row:
        return None
    return f"data.batch_tokens={room} has no room for a row of data.max_length={row}: raise the one or lower the other."


@rule
def step_whose_size_varies(config: dict[str, Any], machine: Machine) -> str | None:
    """`data.batch_tokens` with a task whose loss is over all examples of a step: how many there are would decide it."""
    room = at(config, "data.batch_tokens")
    if not trains(config) or room is None or not attributes(config.get("task")).get("whole_step"):
        return None
    return (
        f"data.batch_tokens={room} makes steps of various sizes, and the loss of {target_name(config.get('task'))} "
        "depends on how many examples a step has: take data.batch_size, and trainer.accumulate_grad_batches for larger "
        "steps."
    )


def _or(group: str, names: list[str]) -> str:
    return f"{group}={' or '.join(names)}" if names else ""


def _shipped(group: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The choices of a group that comes with Noria, by name, and the component that each makes."""
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        part = content.get(group, content)
        bases = [str(base).partition("@")[0] for base in content.get("defaults", ()) if isinstance(base, str)]
        if "_target_" not in part and (known := [base for base in bases if (path.parent / f"{base}.yaml").is_file()]):
            part = yaml.safe_load((path.parent / f"{known[0]}.yaml").read_text(encoding="utf-8")) | part
        yield path.stem, part
