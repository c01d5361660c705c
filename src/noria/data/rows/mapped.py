"""Tables larger than memory: gathered batch by batch, they lie in a file without a name and are mapped from there.

Knows nothing of what the columns hold. The file is the operating system's to remove: nothing is left behind.
"""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from noria.common.paths import cache_dir

log = logging.getLogger(__name__)

CHUNK = 8192  # rows that are worked on at a time
HELD = 1024  # rows that are Python objects at a time
SMALL = 4 << 20  # bytes: a table up to here stays in memory


def gather(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    """All batches as one table, taken one at a time; a table above 4 MiB is read from the disk where it is used.

    Where the cache folder cannot be written, or has no room left, the table is held in memory.
    """
    rest = iter(batches)
    first: list[pa.RecordBatch] = []
    size = 0
    for batch in rest:
        first.append(batch)
        size += batch.nbytes
        if size > SMALL:
            found = _on_disk(schema, chain(first, rest))
            del first, batch
            pa.default_memory_pool().release_unused()  # what reading took, which the pool would keep
            return pa.Table.from_batches(found, schema)
    return pa.Table.from_batches(first, schema)


def gather_rows(schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
    """Rows as one table, of which few are Python objects at a time.

    Args:
        rows: the values of each in the order of the schema's fields.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        rest = iter(rows)
        while some := list(islice(rest, HELD)):
            columns = zip(*some, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    return gather(schema, batches())


def pieces(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """A column in pieces of 8192 rows at most, without copies."""
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(chunk), CHUNK):
            yield chunk.slice(start, CHUNK)


def _on_disk(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """The batches, mapped; in memory from the first one on that cannot be written."""
    folder = cache_dir() / "rows"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder)
    except OSError as error:
        log.warning("Rows are kept in memory, %s cannot be written: %s", folder, error)
        return list(batches)
    try:
        sink = pa.OSFile(name, "wb")
        os.unlink(name)  # what is open stays; whatever becomes of this process, no file does
        written, failed = _write(sink, schema, batches)
        if failed is None:
            return _batches(pa.py_buffer(mmap.mmap(handle, 0, access=mmap.ACCESS_READ)), written)
        log.warning("Rows are kept in memory, %s cannot be written: %s", folder, failed[1])
        with open(handle, "rb", closefd=False) as file:
            return [*_batches(pa.py_buffer(file.read()), written), failed[0], *batches]
    finally:
        os.close(handle)


def _write(
    sink: pa.OSFile, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> tuple[int, tuple[pa.RecordBatch, OSError] | None]:
    """How many batches were written, and the one that could not be."""
    written = 0
    with sink:
        writer = pa.ipc.new_stream(sink, schema)
        for batch in batches:
            try:
                writer.write_batch(batch)
            except OSError as error:
                return written, (batch, error)
            written += 1
    return written, None


def _batches(buffer: pa.Buffer, count: int) -> list[pa.RecordBatch]:
    if not count:
        return []
    reader = pa.ipc.open_stream(buffer)  # it has no end mark, which a full disk might have cut
    return [reader.read_next_batch() for _ in range(count)]
