"""Rules on data and what they are for. They read class attributes from source, and know no object."""

from __future__ import annotations

from typing import Any

import yaml

from noria.common.hardware import Machine
from noria.common.paths import conf_dir
from noria.config.rules.facts import at, attributes, is_number, kind, stage, target_name, trains
from noria.config.rules.registry import rule


@rule
def data_for_another_task(config: dict[str, Any], machine: Machine) -> str | None:
    """The task's kind is none of the `kinds` of the data."""
    task_kind, kinds = kind(config), attributes(config.get("data")).get("kinds")
    if not (trains(config) or stage(config) == "evaluate") or task_kind is None:
        return None
    if not isinstance(kinds, tuple | list) or not kinds or task_kind in kinds:
        return None
    tasks = _shipped("task", {str(kind) for kind in kinds})
    data = _shipped("data", {task_kind})
    return (
        f"data={target_name(config.get('data'))} is for {_or('task', tasks) or ', '.join(map(str, kinds))}, but this "
        f"task's kind is {task_kind}: choose such a task, or {_or('data', data) or 'other data'}."
    )


@rule
def batch_without_room_for_a_row(config: dict[str, Any], machine: Machine) -> str | None:
    """`data.batch_tokens`, the room of a training batch, is below `data.max_length`, that of one row."""
    room, row = at(config, "data.batch_tokens"), at(config, "data.max_length")
    if not trains(config) or not is_number(room) or not is_number(row) or room >= row:
        return None
    return f"data.batch_tokens={room} has no room for a row of data.max_length={row}: raise the one or lower the other."


def _or(group: str, names: list[str]) -> str:
    return f"{group}={' or '.join(names)}" if names else ""


def _shipped(group: str, kinds: set[str]) -> list[str]:
    """The choices of a group that are for one of these kinds."""
    found = []
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        part = content.get(group, content)
        declared = attributes(part)
        own = part.get("kind") or declared.get("kind")
        theirs = {own} if own else declared.get("kinds", ())
        if kinds & set(theirs):  # type: ignore[call-overload]
            found.append(path.stem)
    return found
