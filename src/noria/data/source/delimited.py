"""CSV and TSV files as Arrow batches of strings; a bad row is named. Types are not guessed.

Knows nothing of what the cells are for.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from noria.common.errors import UserError
from noria.data.rows.rows import NAMED_BY, require_columns
from noria.data.source.opening import check_utf8, ending, is_packed, open_text

DELIMITERS = {".csv": ",", ".tsv": "\t"}
OTHERS = (",", ";", "\t", "|")  # what stands between cells in files that are called .csv or .tsv all the same
BLOCK = 1 << 20  # bytes of a file that are read at a time
MAX_BLOCK = 1 << 30  # bytes; a block's strings must fit Arrow's 32-bit offsets
ASKED_BY = "stage.text or data.text names the column that is read."
NO_HEADER = " The first line must name the columns; here it looks like a row."
LOOK = 1000  # lines that are looked at for quotes
SURE = 10  # rows from which on a column's looks are no accident


def delimited(
    path: Path, columns: Sequence[str] | None, quoted: bool | None = None, needed: Sequence[str] = ()
) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Columns of a CSV or TSV file as strings, batch by batch.

    Cells are separated as the file's name says, or by another common sign where only that gives the columns.

    Args:
        columns: which; None: all of them.
        quoted: whether a cell may stand in double quotes; None: in CSV files only.
        needed: columns that must be there as well.

    Raises:
        UserError: a column is missing, or the file breaks its format.
    """
    suffix = ending(path)
    by_name = quoted is None
    quoted = suffix == ".csv" if quoted is None else quoted
    wanted = [*(columns or ()), *needed]
    delimiter, names = _header(path, DELIMITERS[suffix], quoted, wanted)
    by = NAMED_BY if columns is not None else ASKED_BY
    all_wanted = wanted if columns is not None else [*wanted, *names]
    require_columns(names, all_wanted, f"'{path}'", by + (NO_HEADER if _is_a_row(names) else ""))
    if by_name and not quoted:
        _refuse_quotes(path, delimiter)
    schema = pa.schema([(name, pa.string()) for name in (names if columns is None else columns)])
    return schema, _batches(path, schema, delimiter, quoted)


def _header(path: Path, delimiter: str, quoted: bool, wanted: Sequence[str]) -> tuple[str, list[str]]:
    """The sign between cells, and the names of the columns."""
    found = {}
    for sign in dict.fromkeys((delimiter, *OTHERS)):
        try:
            with open_text(path) as file:
                quoting: Any = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
                names = next((line for line in csv.reader(file, delimiter=sign, quoting=quoting) if line), None)
        except (UnicodeDecodeError, csv.Error, OSError, pa.ArrowInvalid) as error:
            check_utf8(path)
            raise UserError(f"'{path}' cannot be read: {error}") from None
        if names is None:
            raise UserError(f"'{path}' is empty.")
        if set(wanted) <= set(names):
            return sign, names
        found[sign] = names
    return delimiter, found[delimiter]


def _is_a_row(names: Sequence[str]) -> bool:
    return any(len(name) > 30 or name.strip().isdecimal() for name in names)


def _refuse_quotes(path: Path, delimiter: str) -> None:
    """Refuses a file whose cells look quoted where they are not read so: the quotes would be part of the texts."""
    columns: dict[int, list[bool]] = {}
    doubled = None
    with open_text(path) as file:
        for line in islice(file, 1, LOOK):
            for place, cell in enumerate(line.rstrip("\r\n").split(delimiter)):
                opens = cell.startswith('"')
                inside = cell[1:-1].replace('""', "")
                if opens and (len(cell) < 2 or not cell.endswith('"') or '"' in inside):
                    return  # a quote that is only a sign
                columns.setdefault(place, []).append(opens)
                if opens and '""' in cell[1:-1]:
                    doubled = doubled or cell
    everywhere = any(len(opens) >= SURE and all(opens) for opens in columns.values())
    if doubled or everywhere:
        shown = f", such as {doubled[:60]}" if doubled else ""
        raise UserError(
            f"'{path}': cells look quoted{shown}. data.quoted=true takes the quotes off, data.quoted=false leaves them "
            "in the texts (stage.quoted for stage=predict)."
        )


def _batches(path: Path, schema: pa.Schema, delimiter: str, quoted: bool) -> Iterator[pa.RecordBatch]:
    bad: list[Any] = []

    def refuse(row: Any) -> str:
        bad.append(row)
        return "error"

    largest = MAX_BLOCK if is_packed(path) else min(path.stat().st_size or MAX_BLOCK, MAX_BLOCK)
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
        except (pa.ArrowInvalid, OSError) as error:
            if not bad and "block" in str(error) and block < largest:
                block = min(8 * block, largest)  # a row is longer than the block: on with larger ones
                continue
            check_utf8(path)
            if not bad:
                raise UserError(f"'{path}' cannot be read: {error}") from None
            row = bad[0]
            raise UserError(
                f"'{path}', row {row.number - 1} (the header is not counted) has {row.actual_columns} columns, "
                f"the header has {row.expected_columns}: {short(row.text)}"
            ) from None


def _beyond(rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What comes after so many rows."""
    for batch in batches:
        if rows < len(batch):
            yield batch.slice(rows)
        rows = max(0, rows - len(batch))


def short(text: str) -> str:
    """A text as messages show it: 80 characters at most."""
    return text if len(text) <= 80 else text[:77] + "..."
