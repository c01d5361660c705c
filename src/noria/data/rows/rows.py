"""Validated rows: a split's ids, texts and labels as one Arrow table, with what was left out counted.

Knows neither where a table came from nor what its labels mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError, nearest
from noria.data.rows.mapped import CHUNK, gather, pieces

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

NAMED_BY = "data.text and data.label name the columns."
NO_TEXT = "no_text"
WORDS = "words"
NO_LABEL = "no_label"
SURE = 10  # rows from which on a column's looks are no accident


@dataclass(frozen=True)
class Rows:
    """The rows of one split.

    `table` has the columns `id` (string, "<source>:<row>", rows counted from 1, a header not counted),
    `text` (string; it decides the split), `text_pair` (string; only for pairs), `label` (raw until the form has seen
    it) and, where the source gives lists of words, `words` (list of string), which joined by blanks are the text; data
    without labels have columns of their own. Rows that belong together have a `group` (string), which then decides the
    split.
    `where` names the file or data set in messages, `dropped` counts the rows left out by reason, and
    `label_names` are the names that the source itself declares for the labels 0, 1, 2, ...
    """

    table: pa.Table
    where: str
    dropped: dict[str, int] = field(default_factory=dict)
    label_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def ids(self) -> list[str]:
        return self.table["id"].to_pylist()

    @property
    def texts(self) -> list[str]:
        return self.table["text"].to_pylist()

    @property
    def pairs(self) -> list[str] | None:
        """The second texts, or None where there is one text a row."""
        return self.table["text_pair"].to_pylist() if "text_pair" in self.table.column_names else None

    def select(self, mask: np.ndarray) -> Rows:
        """The rows for which `mask` (bool, one value a row) holds."""

        def chosen() -> Iterator[pa.RecordBatch]:
            start = 0
            for batch in self.table.to_batches(max_chunksize=CHUNK):
                yield batch.filter(pa.array(mask[start : start + len(batch)]))
                start += len(batch)

        return replace(self, table=gather(self.table.schema, chosen()))

    def with_labels(self, labels: pa.Array | pa.ChunkedArray) -> Rows:
        column = self.table.column_names.index("label")
        return replace(self, table=self.table.set_column(column, "label", labels))

    def without(self, missing: np.ndarray, reason: str) -> Rows:
        """These rows less those for which `missing` (bool) holds, counted under `reason`.

        Raises:
            UserError: no row would be left.
        """
        count = int(missing.sum())
        if not count:
            return self
        dropped = {**self.dropped, reason: self.dropped.get(reason, 0) + count}
        if count == len(self):
            raise _nothing_left(self.where, dropped)
        return replace(self.select(~missing), dropped=dropped)


def from_table(
    table: pa.Table,
    *,
    source: str,
    where: str,
    text: Sequence[str],
    label: str,
    numbers: np.ndarray | None = None,
    label_names: tuple[str, ...] | None = None,
) -> Rows:
    """Rows out of a raw table; those with a blank text or a null label are left out and counted.

    A text may be a list of words.

    Args:
        source: the file's or split's name, the first part of every row's id.
        where: what messages call the table.
        text: the text's column, or the two columns of a pair.
        numbers: each row's number in the source, from 1; by default the rows are the whole source.

    Raises:
        UserError: a column is missing or holds no text, or no row is left.
    """
    if len({*text, label}) <= len(text):
        raise UserError(f"data.text ({', '.join(text)}) and data.label ({label}) name a column twice.")
    require_columns(table.column_names, [*text, label], where)
    if not table.num_rows:
        raise UserError(f"{where} holds no rows.")
    words = [WORDS] if len(text) == 1 and _is_list(table.schema.field(text[0]).type) else []
    if words:
        table = _joined(table.select([*text, label]), text[0], where)
    for column in text:
        _require_texts(table[column], column, where)
    texts = ["text", "text_pair"][: len(text)]
    kinds = [(name, pa.string()) for name in ("id", *texts)]
    kinds += [("label", _plain(table.schema.field(label).type)), *((name, pa.list_(pa.string())) for name in words)]
    schema = pa.schema(kinds)
    dropped = {NO_TEXT: 0, NO_LABEL: 0}

    def kept() -> Iterator[pa.RecordBatch]:
        start = 0
        for raw in table.select([*text, label, *words]).to_batches(max_chunksize=CHUNK):
            stop = start + len(raw)
            own = np.arange(start + 1, stop + 1) if numbers is None else numbers[start:stop]
            ids = pc.binary_join_element_wise(source, pa.array(own).cast(pa.string()), ":")
            columns = [ids, *(column.cast(kind) for column, kind in zip(raw.columns, schema.types[1:], strict=True))]
            no_text = np.logical_or.reduce([blank(column) for column in columns[1 : 1 + len(text)]])
            no_label = ~no_text & np.asarray(columns[1 + len(text)].is_null())
            dropped[NO_TEXT] += int(no_text.sum())
            dropped[NO_LABEL] += int(no_label.sum())
            batch = pa.record_batch(columns, schema=schema)
            yield batch.filter(pa.array(~(no_text | no_label))) if (no_text | no_label).any() else batch
            start = stop

    found = gather(schema, kept())
    left_out = {reason: count for reason, count in dropped.items() if count}
    if not len(found):
        raise _nothing_left(where, left_out)
    return Rows(found, where, left_out, label_names)


def _joined(table: pa.Table, column: str, where: str) -> pa.Table:
    """A table whose lists of words have become texts, with the lists beside them.

    Raises:
        UserError: a list holds something else than words.
    """
    try:
        words = table[column].cast(pa.list_(pa.string()))
    except pa.ArrowInvalid as error:
        raise UserError(f"{where}: the lists in the column '{column}' do not hold words.") from error
    if any(part.values.null_count for part in words.chunks):
        raise UserError(f"{where}: a list in the column '{column}' holds an empty word.")
    texts = pc.binary_join(words, " ")
    place = table.column_names.index(column)
    return table.set_column(place, column, texts).append_column(WORDS, words)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def text_columns(text: str | list[str]) -> list[str]:
    """The columns that `data.text` names: one, or the two of a pair; a UserError for any other number."""
    names = [text] if isinstance(text, str) else list(text)
    if len(names) not in (1, 2):
        raise UserError(f"data.text names {len(names)} columns: name one, or the two of a pair.")
    return names


def label_columns(label: str | list[str]) -> list[str]:
    """The columns that `data.label` names: one, or for several labels a row a column of zeros and ones each.

    Raises:
        UserError: it names none, or one twice.
    """
    names = [label] if isinstance(label, str) else list(label)
    if not names or len({*names}) < len(names):
        raise UserError(f"data.label names {', '.join(names) or 'no column'}: name each column once.")
    return names


def require_columns(names: Sequence[str], wanted: Sequence[str], where: str, named_by: str = NAMED_BY) -> None:
    """Raises a UserError unless each wanted column is there, and there once; it ends in what names the columns."""
    for name in wanted:
        count = list(names).count(name)
        if count > 1:
            raise UserError(f"{where} has {count} columns named '{name}'.")
        if not count:
            close = nearest(name, names)
            hint = f" Did you mean '{close}'?" if close else ""
            raise UserError(
                f"{where} has no column '{name}'. Its columns: {', '.join(names) or 'none'}.{hint} {named_by}"
            )


def blank(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Which strings are null or nothing but white space (bool, one a row)."""
    found = [np.zeros(0, bool)]
    for piece in pieces(column):
        trimmed = pc.utf8_trim_whitespace(piece.fill_null(""))
        found.append(np.asarray(pc.equal(pc.binary_length(trimmed), 0)))
    return np.concatenate(found)


def digest(columns: Iterable[Iterable[str] | pa.ChunkedArray]) -> str:
    """The sha256 (hex) of columns of strings: equal for equal values, however the columns are chunked.

    It is that of each column's two sha256: of the lengths, 8 bytes each (little-endian), and of the joined contents.
    """
    return hashlib.sha256(b"".join(column_digests(columns))).hexdigest()


def column_digests(columns: Iterable[Iterable[str] | pa.ChunkedArray]) -> list[bytes]:
    """The two sha256 of each column, together 64 bytes (`digest`)."""
    found = []
    for column in columns:
        lengths, content = hashlib.sha256(), hashlib.sha256()
        for sizes, data in _arrow_bytes(column) if isinstance(column, pa.ChunkedArray) else _bytes(column):
            lengths.update(sizes.astype("<u8").tobytes())
            content.update(data)
        found.append(lengths.digest() + content.digest())
    return found


def _bytes(column: Iterable[str]) -> Iterator[tuple[np.ndarray, bytes]]:
    values = iter(column)
    while some := [value.encode() for value in islice(values, CHUNK)]:
        yield np.fromiter(map(len, some), np.int64, len(some)), b"".join(some)


def _arrow_bytes(column: pa.ChunkedArray) -> Iterator[tuple[np.ndarray, memoryview]]:
    """The same out of Arrow's own buffers, without a Python object a row."""
    assert column.type == pa.string() and not column.null_count
    for piece in pieces(column):
        _, offsets, data = piece.buffers()
        borders = np.frombuffer(offsets, np.int32, len(piece) + 1, 4 * piece.offset)
        yield np.diff(borders), memoryview(data or b"")[borders[0] : borders[-1]]


def _nothing_left(where: str, dropped: dict[str, int]) -> UserError:
    counts = ", ".join(f"{reason.replace('_', ' ')}: {count}" for reason, count in dropped.items())
    return UserError(f"{where}: every row was left out ({counts}). Are these the right columns?")


def _plain(kind: pa.DataType) -> pa.DataType:
    """A column's type without dictionary encoding (pandas' categories in a Parquet file)."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def text_values(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    """The column as strings; a UserError where it holds none."""
    _require_texts(column, name, where)
    return column.cast(pa.string())


def _require_texts(column: pa.ChunkedArray, name: str, where: str) -> None:
    kind = _plain(column.type)
    if not (_is_string(kind) or pa.types.is_null(kind)):
        raise UserError(f"{where}: the column '{name}' holds {kind} values, not text.")
    if len(column) >= SURE and _numeric(column):
        raise UserError(f"{where}: the column '{name}' holds nothing but numbers. Is this the column of the texts?")


def _numeric(column: pa.ChunkedArray) -> bool:
    """Whether every string is a number: files without types give the wrong column as strings too."""
    try:
        for piece in pieces(column):
            piece.cast(pa.string()).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return column.null_count < len(column)


def _is_string(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
