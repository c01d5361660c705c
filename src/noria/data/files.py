"""Files: CSV, TSV, JSON lines and Parquet as Arrow tables, JSON as objects, plain text; errors name the row.

Knows nothing of what the texts are for. Cells of CSV and TSV files stay strings: types are not guessed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from noria.common.errors import UserError, nearest
from noria.data.rows import require_columns

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
MAX_BLOCK = 1 << 30  # bytes; a block's strings must fit Arrow's 32-bit offsets


def read_table(path: str | Path, columns: Sequence[str], quoted: bool | None = None) -> pa.Table:
    """The named columns of a table file; the format goes by the suffix.

    Args:
        quoted: whether a cell of a CSV or TSV file may stand in double quotes; None: in CSV files only.

    Raises:
        UserError: no such file, an unknown suffix, a missing column, or a file that breaks its format.
    """
    path = _found(path)
    columns = list(dict.fromkeys(columns))
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        return _delimited(path, columns, DELIMITERS[suffix], suffix == ".csv" if quoted is None else quoted)
    if suffix in JSON:
        return _json(path, columns)
    if suffix in PARQUET:
        return _parquet(path, columns)
    known = ", ".join([*DELIMITERS, *JSON, *PARQUET])
    raise UserError(f"'{path}': files that end in '{suffix}' are not read. Known endings: {known}.")


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


def read_records(path: str | Path) -> Records:
    """The objects of a file that holds one JSON object a line, or one JSON list of objects.

    Raises:
        UserError: no such file, another suffix, or a file that breaks its format or holds nothing.
    """
    path = _found(path)
    if path.suffix.lower() not in JSON:
        raise UserError(f"'{path}': a JSON file is needed; it ends in {', '.join(JSON)}.")
    content = read_text(path)
    if content.lstrip().startswith("["):
        try:
            found = list(enumerate(json.loads(content), 1))
        except json.JSONDecodeError as error:
            raise UserError(f"'{path}', line {error.lineno}: not valid JSON: {error.msg}.") from None
        place = "item"
    else:
        found = list(_lines(path, content))
        place = "line"
    for number, record in found:
        if not isinstance(record, dict):
            raise UserError(f"'{path}', {place} {number}: not a JSON object: {_short(json.dumps(record))}")
    if not found:
        raise UserError(f"'{path}' is empty.")
    return Records(path, [record for _, record in found], [number for number, _ in found], place)


def read_text(path: str | Path) -> str:
    """The whole of a UTF-8 file, without a byte order mark, each line ended by one newline.

    Raises:
        UserError: no such file, or not UTF-8.
    """
    path = _found(path)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        _check_utf8(path)
        raise


def _found(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name a file in it.")
    if not path.is_file():
        here = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, here)
        raise UserError(f"There is no file '{path}'." + (f" Did you mean '{close}'?" if close else ""))
    return path


def _delimited(path: Path, columns: Sequence[str], delimiter: str, quoted: bool) -> pa.Table:
    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append(row)
        return "error"

    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=delimiter, quoting=quoting)
            names = next((line for line in lines if line), None)
        if names is None:
            raise UserError(f"'{path}' is empty.")
        require_columns(names, columns, f"'{path}'")
        return pa.csv.read_csv(
            path,
            # serial, so that a bad row's number is known; one block, so that a long row always fits
            pa.csv.ReadOptions(use_threads=False, block_size=min(path.stat().st_size, MAX_BLOCK)),
            pa.csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                invalid_row_handler=refuse,
            ),
            pa.csv.ConvertOptions(include_columns=list(columns), column_types={name: pa.string() for name in columns}),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
        _check_utf8(path)
        if not bad:
            raise UserError(f"'{path}' cannot be read: {error}") from None
        row = bad[0]
        raise UserError(
            f"'{path}', row {row.number - 1} (the header is not counted) has {row.actual_columns} columns, "
            f"the header has {row.expected_columns}: {_short(row.text)}"
        ) from None


def _json(path: Path, columns: Sequence[str]) -> pa.Table:
    records = read_records(path)
    require_columns(records.names, columns, f"'{path}'")
    return pa.table({name: _column(records, name) for name in columns})


def _lines(path: Path, content: str) -> Any:
    # not splitlines(): U+2028 and its like may stand inside a JSON string
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"'{path}', line {number}: not valid JSON: {error.msg}: {_short(line)}") from None


def _column(records: Records, name: str) -> pa.Array:
    values = [record.get(name) for record in records.objects]
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError):
        first: tuple[int, type] | None = None
        for index, value in enumerate(values):
            try:
                pa.array([value])
            except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError) as error:
                raise UserError(f"{records.where(index)}: a bad value for '{name}': {error}") from None
            if value is None:
                continue
            first = first or (records.numbers[index], type(value))
            if type(value) is not first[1]:
                raise UserError(
                    f"{records.where(index)}: '{name}' is of type {type(value).__name__}, "
                    f"in {records.place} {first[0]} of type {first[1].__name__}."
                ) from None
        raise


def _parquet(path: Path, columns: Sequence[str]) -> pa.Table:
    try:
        file = pa.parquet.ParquetFile(path)
        require_columns(file.schema_arrow.names, columns, f"'{path}'")
        return file.read(columns=list(columns))
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"'{path}' is not a readable Parquet file: {error}") from None


def _check_utf8(path: Path) -> None:
    data = path.read_bytes()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"'{path}', line {line}: not UTF-8 text. Save the file as UTF-8.") from None


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
