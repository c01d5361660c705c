"""Reads what is to be predicted: a table, JSON, or plain lines, as the data room reads files. Knows no model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from noria.common.errors import UserError, did_you_mean
from noria.data.source.files import Row, read_rows
from noria.data.source.json_files import parsed
from noria.data.source.opening import ending, find, lines_of, open_bytes

PLAIN = (".txt", "")


def read_inputs(
    source: str, names: list[str], quoted: bool | None = None, words: bool = False
) -> Iterator[dict[str, Any]]:
    """One dict an input, in order: all of its columns, the text columns among them.

    Args:
        source: a file (CSV, TSV, JSON, Parquet by its ending; else plain lines), or `-` for standard input.
        names: the text columns: one, or two for pairs. A plain line of a pair holds a tab between them; a
            plain line that is a JSON object is read as one.
        quoted: whether cells of CSV and TSV files may stand in double quotes; None: in CSV files only.
        words: a text may be a list of words.

    Raises:
        UserError: an unreadable file, a line that is no JSON, a missing column.
    """
    for where, found in read_records(source, lambda path: read_rows(path, names, quoted=quoted)):
        if isinstance(found, dict):
            _require(list(found), names, where)
            yield _texts(found, names, where, words)
        elif len(names) == 1:
            yield {names[0]: found}
        else:
            first, tab, second = found.partition("\t")
            if not tab and found.strip():
                raise UserError(f"{where}: a pair needs a tab between its two texts.")
            yield {names[0]: first, names[1]: second}


def read_records(source: str, table: Callable[[Path], Iterator[Row]]) -> Iterator[tuple[str, str | dict[str, Any]]]:
    """Where it stands, and a plain line or the fields of a record, for each input in order.

    Args:
        source: as `read_inputs` takes it.
        table: reads a file that is none of plain lines.

    Raises:
        UserError: an unreadable file, or a line that is no JSON object.
    """
    if source == "-":
        yield from _lines(_standard_input(), "standard input")
        return
    path = find(source)
    if ending(path) in PLAIN:
        with open_bytes(path) as file:
            yield from _lines(file, source)
        return
    yield from table(path)


def _standard_input() -> Iterable[bytes]:
    """Its bytes, whatever encoding the machine's language settings would read them with."""
    binary: Iterable[bytes] | None = getattr(sys.stdin, "buffer", None)
    return binary if binary is not None else (line.encode("utf-8", "surrogatepass") for line in sys.stdin)


def _lines(file: Iterable[bytes], source: str) -> Iterator[tuple[str, str | dict[str, Any]]]:
    for number, line in enumerate(lines_of(file, source), 1):
        where = f"{source}, line {number}"
        yield where, parsed(line, where) if line.lstrip().startswith("{") else line


def _texts(row: dict[str, Any], names: list[str], where: str, words: bool) -> dict[str, Any]:
    for name in names:
        if not isinstance(row[name], str | None) and not (words and isinstance(row[name], list)):
            raise UserError(f"{where}: '{name}' is {json.dumps(row[name], default=str)}, which is no text.")
    return {k: "" if v is None and k in names else v for k, v in row.items()}


def _require(columns: list[str], names: list[str], where: str) -> None:
    for name in names:
        if name not in columns:
            raise UserError(
                f"{where}: there is no '{name}'. {did_you_mean(name, columns)} "
                "Say stage.text=<column>, or data.text=<column>."
            )
