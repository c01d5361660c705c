"""Reads what is to be predicted: a table, JSON lines, or plain lines. Knows no model."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

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
    rows = chain.from_iterable(batch.to_pylist() for batch in read_table(path, names).to_batches())
    for number, row in enumerate(rows, 1):
        yield _texts(row, names, f"{source}, row {number}")


def _lines(file: TextIO, where: str, names: list[str], *, json_only: bool) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        line = line.rstrip("\n")
        if json_only or line.lstrip().startswith("{"):
            yield _json(line, f"{where}, line {number}", names)
        elif len(names) == 1:
            yield {names[0]: line}
        else:
            first, tab, second = line.partition("\t")
            if not tab and line.strip():
                raise UserError(f"{where}, line {number}: a pair needs a tab between its two texts.")
            yield {names[0]: first, names[1]: second}


def _json(line: str, where: str, names: list[str]) -> dict[str, Any]:
    try:
        row = json.loads(line) if line.strip() else dict.fromkeys(names, "")
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise UserError(f"{where}: each line must be a JSON object such as {json.dumps(dict.fromkeys(names, '…'))}.")
    _require(list(row), names, where)
    return _texts(row, names, where)


def _texts(row: dict[str, Any], names: list[str], where: str) -> dict[str, Any]:
    for name in names:
        if not isinstance(row[name], str | None):
            raise UserError(f"{where}: '{name}' is {json.dumps(row[name], default=str)}, which is no text.")
    return {k: "" if v is None and k in names else v for k, v in row.items()}


def _require(columns: list[str], names: list[str], where: str) -> None:
    for name in names:
        if name not in columns:
            raise UserError(f"{where}: there is no '{name}'. {did_you_mean(name, columns)} Say data.text=<column>.")
