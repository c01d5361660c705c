"""Documents out of files: collections, or tables with a text a row. Knows no index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.collection.collection import Document
from noria.data.collection.read import read_collection
from noria.data.source.files import read_rows

ID, TITLE, TEXT = "id", "title", "text"
OWN = (ID, TITLE, TEXT, "score", "passage")  # names that a filter's column cannot have


def read_documents(path: str | Path, text: str = TEXT, title: str | None = None, name: str | None = None) -> pa.Table:
    """A table with `id`, `title` and `text` (strings), and all other columns of the rows, by which may be filtered.

    Args:
        path: a folder with a collection (BEIR's format or SMART's), or a table file.
        text, title, name: the columns of a table that hold the text, the title and the id; without `name` a column `id`
            or `_id` is it, or the row's number.

    Raises:
        UserError: it cannot be read, or an id stands twice.
    """
    if Path(path).expanduser().is_dir():
        found = read_collection(path).documents
        columns: dict[str, Any] = {ID: [one.id for one in found], TITLE: [one.title for one in found]}
        return _checked(pa.table({**columns, TEXT: [one.text for one in found]}), path)
    rows = list(_rows(path, text, title, name))
    if not rows:
        raise UserError(f"'{path}' holds no document.")
    names = list(dict.fromkeys(key for row in rows for key in row))
    try:
        table = pa.table({key: pa.array([row.get(key) for row in rows]) for key in names})
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"'{path}': a column holds values of several types ({error}).") from None
    return _checked(table, path)


def _rows(path: str | Path, text: str, title: str | None, name: str | None) -> Iterator[dict[str, Any]]:
    for number, (where, row) in enumerate(read_rows(path, [text, *filter(None, (title, name))]), 1):
        key = name or next((one for one in (ID, "_id") if one in row), None)
        found = {ID: str(row.pop(key)) if key and row.get(key) is not None else str(number)}
        for own, column in ((TITLE, title or TITLE), (TEXT, text)):
            value = row.pop(column, None)
            if not isinstance(value, str | None):
                raise UserError(f"{where}: '{column}' is {value!r:.60}, but must be a text.")
            found[own] = value or ""
        yield found | {(f"input_{key}" if key in OWN else key): value for key, value in row.items()}


def _checked(table: pa.Table, path: str | Path) -> pa.Table:
    ids = table[ID].to_pylist()
    if len({*ids}) < len(ids):
        seen: set[str] = set()
        twice = next(one for one in ids if one in seen or seen.add(one))  # type: ignore[func-returns-value]
        raise UserError(f"'{path}': the id '{twice}' stands twice: each document needs one of its own.")
    return table


def contents(table: pa.Table) -> list[str]:
    """The title and the text of each document as one."""
    return [Document("", *each).content for each in zip(table[TITLE].to_pylist(), table[TEXT].to_pylist(), strict=True)]


def without(table: pa.Table, ids: Sequence[str]) -> list[bool]:
    """Which documents stay when those with these ids go."""
    gone = {*ids}
    return [one not in gone for one in table[ID].to_pylist()]
