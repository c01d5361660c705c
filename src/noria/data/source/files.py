"""Tables out of files, whatever their format: CSV, TSV, JSON, Parquet, packed or not. Every stage reads them here.

Knows nothing of what the columns are for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from noria.common.errors import UserError
from noria.data.rows.mapped import CHUNK, gather
from noria.data.rows.rows import NAMED_BY, require_columns
from noria.data.source.delimited import ASKED_BY, DELIMITERS, delimited
from noria.data.source.json_files import JSON, Numbered, is_one_text, is_wrapped, json_lines, read_records
from noria.data.source.objects import table_of
from noria.data.source.opening import BUFFER, PACKED, ending, find

PARQUET = (".parquet", ".pq")
TABLES = (*DELIMITERS, *JSON, *PARQUET)

Row = tuple[str, dict[str, Any]]


def read_table(path: str | Path, columns: Sequence[str], quoted: bool | None = None) -> pa.Table:
    """The named columns of a table file, read piece by piece; the format goes by the ending.

    Only a JSON list is held in memory as a whole.

    Args:
        quoted: whether a cell of a CSV or TSV file may stand in double quotes; None: in CSV files only.

    Raises:
        UserError: no such file, an unknown ending, a missing column, or a file that breaks its format.
    """
    path = find(path)
    columns = list(dict.fromkeys(columns))
    kind = known_ending(path)
    if kind in DELIMITERS:
        return gather(*delimited(path, columns, quoted))
    if kind in JSON:
        return _json(path, columns)
    return gather(*_parquet(path, columns))


def read_rows(
    path: str | Path, needed: Sequence[str], any_of: Sequence[str] = (), quoted: bool | None = None
) -> Iterator[Row]:
    """Each row of a table file with all of its columns, in order, and where it stands; nothing is held as a whole but
    a JSON list.

    What a row of JSON lacks is not in it. Cells of CSV and TSV files are strings.

    Args:
        needed: columns that must be there; in JSON lines a row may lack them.
        any_of: columns of which one must be there.
        quoted: as in `read_table`.

    Raises:
        UserError: as `read_table`; rows before a bad one have been given.
    """
    path = find(path)
    kind = known_ending(path)
    if kind in JSON:
        yield from _records(path, [*needed, *any_of])
        return
    schema, batches = delimited(path, None, quoted, needed) if kind in DELIMITERS else _parquet(path, None, needed)
    if any_of and not {*any_of} & {*schema.names}:
        raise UserError(
            f"'{path}' has none of the columns {', '.join(any_of)}. Its columns: {', '.join(schema.names)}."
        )
    rows = chain.from_iterable(batch.to_pylist() for batch in batches)
    yield from ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


def known_ending(path: Path) -> str:
    """The ending that tells the format of a table file.

    Raises:
        UserError: it is none of those that are read.
    """
    kind = ending(path)
    if kind not in TABLES:
        raise UserError(
            f"'{path}': files that end in '{kind or path.suffix}' are not read. Known endings: {', '.join(TABLES)}; "
            f"packed ones end in {', '.join(PACKED)} after that."
        )
    return kind


def _records(path: Path, fields: Sequence[str]) -> Iterator[Row]:
    if is_one_text(path) or is_wrapped(path, fields):
        records = read_records(path, fields)
        yield from ((f"{path}, {records.place} {n}", o) for n, o in zip(records.numbers, records.objects, strict=True))
        return
    yield from ((f"{path}, line {number}", record) for number, record in json_lines(path))


def _json(path: Path, columns: Sequence[str]) -> pa.Table:
    if is_one_text(path) or is_wrapped(path, columns):
        records = read_records(path, columns)
        require_columns(records.names, columns, f"'{path}'")
        items = list(zip(records.numbers, records.objects, strict=True))
        return table_of(lambda: iter(items), columns, lambda number: f"'{path}', item {number}", "item")
    return table_of(lambda: _objects(path, columns), columns, lambda number: f"'{path}', line {number}", "line")


def _objects(path: Path, columns: Sequence[str]) -> Iterator[Numbered]:
    """The objects of JSON lines, read one by one; at the end it is known whether the columns are there."""
    names: dict[str, None] = {}
    number = 0
    for number, record in json_lines(path):
        names.update(dict.fromkeys(record))
        yield number, record
    if not number:
        raise UserError(f"'{path}' is empty.")
    require_columns(list(names), columns, f"'{path}'")


def _parquet(
    path: Path, columns: Sequence[str] | None, needed: Sequence[str] = ()
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Columns of a Parquet file, batch by batch; None: all of them, `needed` among them."""
    try:
        file = pa.parquet.ParquetFile(path, buffer_size=BUFFER)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"'{path}' is not a readable Parquet file: {error}") from None
    names = file.schema_arrow.names
    wanted = [*needed, *names] if columns is None else columns
    require_columns(names, wanted, f"'{path}'", ASKED_BY if columns is None else NAMED_BY)
    # pandas' categories are read as what they stand for: each batch would have a dictionary of its own
    found = [file.schema_arrow.field(name) for name in names if columns is None or name in columns]
    kinds = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in found]
    fields = list(zip((field.name for field in found), kinds, strict=True))
    schema = pa.schema(fields, file.schema_arrow.metadata)  # which may name the classes of a column

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(CHUNK, columns=None if columns is None else schema.names):
                arrays = [batch[name].cast(kind) for name, kind in zip(schema.names, kinds, strict=True)]
                yield pa.record_batch(arrays, schema=schema)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"'{path}' is not a readable Parquet file: {error}") from None

    return schema, batches()
