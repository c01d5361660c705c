"""Files: CSV, TSV, JSON lines and Parquet as Arrow tables, JSON as objects, plain text; errors name the row.

Knows nothing of what the texts are for. Cells of CSV and TSV files stay strings: types are not guessed.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from noria.common.errors import UserError, nearest
from noria.data.mapped import CHUNK, gather
from noria.data.objects import table_of
from noria.data.rows import require_columns

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON = (".json", ".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
BLOCK = 1 << 20  # bytes of a CSV file that are read at a time
MAX_BLOCK = 1 << 30  # bytes; a block's strings must fit Arrow's 32-bit offsets
BUFFER = 1 << 20  # bytes of a Parquet column that are read at a time


def read_table(path: str | Path, columns: Sequence[str], quoted: bool | None = None) -> pa.Table:
    """The named columns of a table file, read piece by piece; the format goes by the suffix.

    Only a JSON list is held in memory as a whole.

    Args:
        quoted: whether a cell of a CSV or TSV file may stand in double quotes; None: in CSV files only.

    Raises:
        UserError: no such file, an unknown suffix, a missing column, or a file that breaks its format.
    """
    path = _found(path)
    columns = list(dict.fromkeys(columns))
    suffix = path.suffix.lower()
    if suffix in DELIMITERS:
        return gather(*delimited(path, columns, quoted))
    if suffix in JSON:
        return _json(path, columns)
    if suffix in PARQUET:
        return gather(*_parquet(path, columns))
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
        found = list(_lines(path, content.split("\n")))
        place = "line"
    for number, record in found:
        _require_object(record, f"'{path}', {place} {number}")
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


def delimited(
    path: Path, columns: Sequence[str], quoted: bool | None = None
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The columns of a CSV or TSV file, as `read_table` gives them, batch by batch."""
    suffix = path.suffix.lower()
    quoted = suffix == ".csv" if quoted is None else quoted
    quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=DELIMITERS[suffix], quoting=quoting)
            names = next((line for line in lines if line), None)
    except (UnicodeDecodeError, csv.Error) as error:
        _check_utf8(path)
        raise UserError(f"'{path}' cannot be read: {error}") from None
    if names is None:
        raise UserError(f"'{path}' is empty.")
    require_columns(names, columns, f"'{path}'")
    schema = pa.schema([(name, pa.string()) for name in columns])
    return schema, _delimited(path, schema, DELIMITERS[suffix], quoted)


def _delimited(path: Path, schema: pa.Schema, delimiter: str, quoted: bool) -> Iterator[pa.RecordBatch]:
    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append(row)
        return "error"

    largest = min(path.stat().st_size, MAX_BLOCK)
    block, done = min(largest, BLOCK), 0
    while True:
        try:
            reader = pa.csv.open_csv(
                path,
                # serial, so that a bad row's number is known
                pa.csv.ReadOptions(use_threads=False, block_size=block),
                pa.csv.ParseOptions(
                    delimiter=delimiter,
                    quote_char='"' if quoted else False,
                    newlines_in_values=quoted,
                    invalid_row_handler=refuse,
                ),
                pa.csv.ConvertOptions(
                    include_columns=schema.names, column_types={name: pa.string() for name in schema.names}
                ),
            )
            for batch in _beyond(done, reader):
                yield batch
                done += len(batch)
            return
        except pa.ArrowInvalid as error:
            if not bad and "block" in str(error) and block < largest:
                block = min(8 * block, largest)  # a row is longer than the block: on with larger ones
                continue
            _check_utf8(path)
            if not bad:
                raise UserError(f"'{path}' cannot be read: {error}") from None
            row = bad[0]
            raise UserError(
                f"'{path}', row {row.number - 1} (the header is not counted) has {row.actual_columns} columns, "
                f"the header has {row.expected_columns}: {_short(row.text)}"
            ) from None


def _beyond(rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What comes after so many rows."""
    for batch in batches:
        if rows < len(batch):
            yield batch.slice(rows)
        rows = max(0, rows - len(batch))


def _json(path: Path, columns: Sequence[str]) -> pa.Table:
    if _is_list(path):
        records = read_records(path)
        require_columns(records.names, columns, f"'{path}'")
        items = list(zip(records.numbers, records.objects, strict=True))
        return table_of(lambda: iter(items), columns, lambda number: f"'{path}', item {number}", "item")
    return table_of(lambda: _objects(path, columns), columns, lambda number: f"'{path}', line {number}", "line")


def _is_list(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(3 if start == codecs.BOM_UTF8 else 0)
        while byte := file.read(1):
            if not byte.isspace():
                return byte == b"["
    return False


def _objects(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of JSON lines, read one by one; at the end it is known whether the columns are there."""
    names: dict[str, None] = {}
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, record in _lines(path, file):
                _require_object(record, f"'{path}', line {number}")
                names.update(dict.fromkeys(record))
                yield number, record
    except UnicodeDecodeError:
        _check_utf8(path)
        raise
    if not number:
        raise UserError(f"'{path}' is empty.")
    require_columns(list(names), columns, f"'{path}'")


def _lines(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Any]]:
    # the lines are not those of splitlines(): U+2028 and its like may stand inside a JSON string
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                line = line.rstrip("\n")
                raise UserError(f"'{path}', line {number}: not valid JSON: {error.msg}: {_short(line)}") from None


def _require_object(record: Any, where: str) -> None:
    if not isinstance(record, dict):
        raise UserError(f"{where}: not a JSON object: {_short(json.dumps(record))}")


def _parquet(path: Path, columns: Sequence[str]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    try:
        file = pa.parquet.ParquetFile(path, buffer_size=BUFFER)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"'{path}' is not a readable Parquet file: {error}") from None
    require_columns(file.schema_arrow.names, columns, f"'{path}'")
    # pandas' categories are read as what they stand for: each batch would have a dictionary of its own
    found = [file.schema_arrow.field(name) for name in file.schema_arrow.names if name in columns]
    kinds = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in found]
    fields = list(zip((field.name for field in found), kinds, strict=True))
    schema = pa.schema(fields, file.schema_arrow.metadata)  # which may name the classes of a column

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(CHUNK, columns=list(columns)):
                arrays = [batch[name].cast(kind) for name, kind in zip(schema.names, kinds, strict=True)]
                yield pa.record_batch(arrays, schema=schema)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"'{path}' is not a readable Parquet file: {error}") from None

    return schema, batches()


def _check_utf8(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with path.open("rb") as file:
        while True:
            data = file.read(BUFFER)
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise UserError(f"'{path}', line {line}: not UTF-8 text. Save the file as UTF-8.") from None
            if not data:
                return
            line += data.count(b"\n")


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
