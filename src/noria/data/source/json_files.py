"""JSON files as objects: one a line, a list of them, or a list inside of one object; errors name the line or item.

Knows nothing of what the objects hold.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.source.delimited import short
from noria.data.source.opening import ending, find, lines_of, open_bytes, read_text

SIGN = re.compile(r"\S")
JSON = (".json", ".jsonl", ".ndjson")

Numbered = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Records:
    """The objects of a JSON file. `numbers` count what `place` says (an "item" of a list, a "line"), from 1."""

    path: Path
    objects: list[dict[str, Any]]
    numbers: list[int]
    place: str

    @property
    def names(self) -> list[str]:
        """The keys of all objects, in the order in which they are met."""
        return list(dict.fromkeys(key for record in self.objects for key in record))

    def where(self, index: int) -> str:
        """What messages call an object."""
        return f"'{self.path}', {self.place} {self.numbers[index]}"


def read_records(path: str | Path, fields: Sequence[str] = ()) -> Records:
    """The objects of a JSON file.

    Args:
        fields: what the objects may hold. A file that is one object with none of them, but with one list of objects
            (`{"data": [{…}, …]}`), is read as that list.

    Raises:
        UserError: no such file, another ending, or a file that breaks its format or holds nothing.
    """
    path = find(path)
    if ending(path) not in JSON:
        raise UserError(f"'{path}': a JSON file is needed; it ends in {', '.join(JSON)}.")
    place, found = "item", _whole(path) if is_one_text(path) else None
    if found is None:
        place, found = "line", list(json_lines(path))
    if not found:
        raise UserError(f"'{path}' is empty.")
    if len(found) == 1 and (inner := _inside(path, found[0][1], fields)):
        place, found = "item", inner
    return Records(path, [record for _, record in found], [number for number, _ in found], place)


def json_lines(path: Path) -> Iterator[Numbered]:
    """The objects of a file with one a line, read one by one, each with its line's number.

    Raises:
        UserError: a line is no JSON object; those before it have been given.
    """
    with open_bytes(path) as file:
        # the lines are not those of splitlines(): U+2028 and its like may stand inside a JSON string
        for number, line in enumerate(lines_of(file, f"'{path}'"), 1):
            if line.strip():
                yield number, parsed(line, f"'{path}', line {number}")


def parsed(line: str, where: str) -> dict[str, Any]:
    """The object that a line is.

    Raises:
        UserError: it is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = getattr(error, "msg", str(error))
        raise UserError(f"{where}: not valid JSON: {said}: {short(line)}") from None
    return _object(record, where)


def is_one_text(path: Path) -> bool:
    """Whether the file is to be read as a whole: a list, or (but for .jsonl) an object over several lines."""
    is_json, is_list = ending(path) == ".json", _begins(path) == b"["
    if is_json and is_list:
        return True
    with open_bytes(path) as file:
        value = _value(next((line for line in lines_of(file, f"'{path}'") if line.strip()), "{}"))
    if is_list:  # in .jsonl, so one such line may be meant for a row
        return not isinstance(value, list) or isinstance((*value, {})[0], dict)
    return is_json and value is None


def is_wrapped(path: Path, fields: Sequence[str]) -> bool:
    """Whether the file is one line, of an object around the objects that are meant."""
    with open_bytes(path) as file:
        lines = (line for line in lines_of(file, f"'{path}'") if line.strip())
        first, second = next(lines, ""), next(lines, None)
    return second is None and bool(_inside(path, _value(first), fields))


def _begins(path: Path) -> bytes:
    """The first byte that is no white space."""
    try:
        with open_bytes(path) as file:
            start = file.read(len(codecs.BOM_UTF8))
            found = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
            while not found and (byte := file.read(1)):
                found = byte.strip()
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"'{path}' cannot be read: {error}") from None
    return found


def _value(line: str) -> Any:
    """A line parsed as JSON; None where it is not JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _whole(path: Path) -> list[Numbered]:
    """The items of a list, or the objects that follow each other."""
    content, decoder, found, stop = read_text(path), json.JSONDecoder(), [], 0
    try:
        while (start := len(content) if (sign := SIGN.search(content, stop)) is None else sign.start()) < len(content):
            value, stop = decoder.raw_decode(content, start)
            found.append(value)
    except json.JSONDecodeError as error:
        raise UserError(f"'{path}', line {error.lineno}: not valid JSON: {error.msg}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"'{path}' cannot be read as JSON: {error}") from None
    values: Iterable[Any] = found[0] if len(found) == 1 and isinstance(found[0], list) else found
    return [(number, _object(value, f"'{path}', item {number}")) for number, value in enumerate(values, 1)]


def _inside(path: Path, record: Any, fields: Sequence[str]) -> list[Numbered]:
    """The items of the only list of objects in an object that has none of the fields itself."""
    if not isinstance(record, dict) or not fields or {*fields} & {*record}:
        return []
    lists = {
        name: value
        for name, value in record.items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    }
    if len(lists) > 1:
        raise UserError(
            f"'{path}' is one object with several lists of objects: {', '.join(lists)}. Write the one that is meant "
            "into a file of its own."
        )
    return list(enumerate(next(iter(lists.values()), []), 1))


def _object(record: Any, where: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise UserError(f"{where}: not a JSON object: {short(json.dumps(record))}")
    return record
