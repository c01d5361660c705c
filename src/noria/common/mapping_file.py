"""Reads a YAML or JSON file that a stranger may have written. Knows no key of it.

A few bytes of YAML can stand for terabytes (aliases of aliases), for a value that holds itself, or for more levels
than Python can go down. None of this is in a file that Noria writes, so all of it is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from noria.common.errors import UserError

LARGEST = 16 * 2**20  # bytes; a million label names
DEEPEST = 64  # levels of mappings and lists in each other
DIGITS = 100  # of a whole number: YAML's 1:00:00 takes minutes to read where it is long, and 0xff… cannot be shown

Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Refused(ValueError):
    pass


class Loader(Base):
    """YAML's safe loader, without whole numbers of any length."""


def _whole(loader: Any, node: Any) -> int:
    if len(str(node.value)) > DIGITS:
        raise _Refused(f"line {node.start_mark.line + 1} holds a number of more than {DIGITS} digits")
    return int(loader.construct_yaml_int(node))


Loader.add_constructor("tag:yaml.org,2002:int", _whole)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping that a file holds: JSON by its name, else YAML.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it cannot be read, is no mapping, is too large or too deep, or refers to itself.
    """
    if path.exists() and not path.is_file():  # to read from a pipe would wait for ever
        raise UserError(f"{path} is not a file.")
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise _Refused(f"it is larger than {LARGEST / 2**20:.0f} MiB")
        found = _parsed(path, content.decode("utf-8"))
        if not isinstance(found, dict):
            raise _Refused("it is no mapping")
        _check(found, 1)
    except FileNotFoundError:
        raise
    except Exception as error:  # a tag on a wrong value (!!bool x) raises whatever it happens to lead to
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:300]}") from error
    return found


def _parsed(path: Path, text: str) -> Any:
    if path.suffix == ".json":
        return json.loads(text)
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(f"line {event.start_mark.line + 1} refers to another place of the file (*{event.anchor})")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _Refused(f"line {event.start_mark.line + 1} is more than {DEEPEST} levels deep")
    return yaml.load(text, Loader=Loader)


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise _Refused(f"it is more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str | int | float):
                raise _Refused(f"{key!r} is no name of a key")
            _check(item, depth + 1)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _check(item, depth + 1)
