from __future__ import annotations

import logging
import resource
from collections.abc import Iterator

import pyarrow as pa
import pytest

from noria.data.rows import mapped
from noria.data.rows.mapped import CHUNK, gather, pieces
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm

SCHEMA = pa.schema([("text", pa.string()), ("number", pa.int64())])


def batches(count: int, rows: int = 1000) -> Iterator[pa.RecordBatch]:
    for start in range(0, count * rows, rows):
        numbers = range(start, start + rows)
        yield pa.record_batch([[f"row {i} " * 20 for i in numbers], list(numbers)], schema=SCHEMA)


def whole(count: int) -> pa.Table:
    return pa.Table.from_batches(list(batches(count)), SCHEMA)


def test_a_small_table_stays_in_memory(cache):
    assert gather(SCHEMA, batches(2)).equals(whole(2)) and not cache.exists()
    assert gather(SCHEMA, []).equals(SCHEMA.empty_table())


def test_a_large_table_is_mapped_and_leaves_no_file(cache):
    expected = whole(60)
    assert expected.nbytes > 2 * mapped.SMALL
    before = pa.total_allocated_bytes()
    found = gather(SCHEMA, batches(60))
    assert pa.total_allocated_bytes() - before < expected.nbytes / 4
    assert found.equals(expected) and list((cache / "rows").iterdir()) == []


@pytest.mark.parametrize("room", [0, 100, mapped.SMALL // 2, mapped.SMALL + 1_000_000])
def test_a_disk_that_fills_up(cache, caplog, room):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        found = gather(SCHEMA, batches(60))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.equals(whole(60)) and "kept in memory" in caplog.text and list((cache / "rows").iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NORIA_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert gather(SCHEMA, batches(60)).equals(whole(60))
    assert "kept in memory" in caplog.text


def test_an_error_of_the_source_is_not_taken_for_the_disk_s():
    def broken() -> Iterator[pa.RecordBatch]:
        yield from batches(60)
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        gather(SCHEMA, broken())


def test_pieces_are_the_column(cache):
    column = pa.chunked_array([list(range(CHUNK + 5)), [], [1, 2]])
    assert [len(piece) for piece in pieces(column)] == [CHUNK, 5, 2]
    assert pa.chunked_array(list(pieces(column))).equals(pa.chunked_array([column.combine_chunks()]))


@pytest.mark.parametrize("label", ["label", "many", "value"])
def test_rows_are_the_same_wherever_they_lie(write, reviews, monkeypatch, label):
    """Mapped or in memory: splits, fingerprints, targets and the report are equal."""
    lines = [f"{row['text']},{row['label']},{i % 3}|{i % 2},{i / 4 or ''}" for i, row in enumerate(reviews)]
    path = write("a.csv", ["text,label,many,value", *lines, " ,good,1|2,3", lines[0]])
    kind = {"label": "single_label", "many": "multi_label", "value": "regression"}[label]
    found = []
    for small in (0, mapped.SMALL):
        monkeypatch.setattr(mapped, "SMALL", small)
        data = TableData(path=path, label=label, limit=30).bind(TextClassificationForm(kind))
        data.setup()
        targets = {name: data.form.targets(rows).tolist() for name, rows in data.splits.items()}
        found.append((data.fingerprints, data.report, targets, {n: rows.ids for n, rows in data.splits.items()}))
    assert found[0] == found[1] and len(found[0][3]["train"]) == 30
