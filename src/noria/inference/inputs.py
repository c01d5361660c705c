"""Reads what is to be predicted: a table, JSON lines, or plain lines. Knows no model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from noria.common.errors import UserError, did_you_mean
from noria.data.files import read_table

PLAIN = (".txt", "")


def read_inputs(source: str, names: list[str]) -> Iterator[dict[str, Any]]:
    """One dict an input, in order, holding at least the text columns.

    Args:
        source: a file (CSV, TSV, JSONL, Parquet by suffix; else plain lines), or `-` for standard input.
        names: the text columns: one, or two for pairs. A plain line of a pair holds a tab between them; a
            plain line that is a JSON object is read as one.

    Raises:
        UserError: an unreadable file, a line that is no JSON, a missing column.
    """
    for where, found in read_records(source, names, lambda path: read_table(path, names)):
        if isinstance(found, dict):
            _require(list(found), names, where)
            yield _texts(found, names, where)
        elif len(names) == 1:
            yield {names[0]: found}
        else:
            first, tab, second = found.partition("\t")
            if not tab and found.strip():
                raise UserError(f"{where}: a pair needs a tab between its two texts.")
            yield {names[0]: first, names[1]: second}


def read_records(
    source: str, names: list[str], table: Callable[[Path], pa.Table]
) -> Iterator[tuple[str, str | dict[str, Any]]]:
    """Where it stands, and a plain line or the fields of a record, for each input in order.

    Args:
        source: as `read_inputs` takes it.
        names: fields that a record may have, for messages.
        table: reads a file whose suffix is none of plain or JSON lines.

    Raises:
        UserError: an unreadable file, or a line that is no JSON object.
    """
    if source == "-":
        yield from _lines(sys.stdin, "standard input", names, json_only=False)
        return
    path = Path(source).expanduser()
    if path.suffix in (".jsonl", ".ndjson") or path.suffix.lower() in PLAIN:
        try:
            with path.open(encoding="utf-8") as file:
                yield from _lines(file, source, names, json_only=path.suffix not in PLAIN)
        except UnicodeDecodeError as error:
            raise UserError(f"input={source} is not UTF-8 text ({error.reason} at byte {error.start}).") from error
        return
    rows = chain.from_iterable(batch.to_pylist() for batch in table(path).to_batches())
    for number, row in enumerate(rows, 1):
        yield f"{source}, row {number}", row


def _lines(
    file: TextIO, source: str, names: list[str], *, json_only: bool
) -> Iterator[tuple[str, str | dict[str, Any]]]:
    for number, line in enumerate(file, 1):
        where, line = f"{source}, line {number}", line.rstrip("\n")
        is_json = line.lstrip().startswith("{") or (json_only and line.strip())
        yield where, _json(line, where, names) if is_json else line


def _json(line: str, where: str, names: list[str]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: each line must be a JSON object such as {json.dumps(dict.fromkeys(names, '…'))}.")
    return row


def _texts(row: dict[str, Any], names: list[str], where: str) -> dict[str, Any]:
    for name in names:
        if not isinstance(row[name], str | None):
            raise UserError(f"{where}: '{name}' is {json.dumps(row[name], default=str)}, which is no text.")
    return {k: "" if v is None and k in names else v for k, v in row.items()}


def _require(columns: list[str], names: list[str], where: str) -> None:
    for name in names:
        if name not in columns:
            raise UserError(f"{where}: there is no '{name}'. {did_you_mean(name, columns)} Say data.text=<column>.")
