from __future__ import annotations

from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest

from noria.common.errors import UserError
from noria.data.rows.rows import NO_LABEL, NO_TEXT, digest, from_table, text_columns


def rows_of(table: dict, text: tuple[str, ...] = ("text",), **kwargs):
    return from_table(pa.table(table), source="a.csv", where="/data/a.csv", text=text, label="label", **kwargs)


def test_ids_name_the_source_and_the_original_row():
    rows = rows_of({"text": ["x", None, " \t", "y", "z"], "label": [1, 1, 1, None, 0]})
    assert rows.ids == ["a.csv:1", "a.csv:5"]
    assert rows.texts == ["x", "z"] and rows.pairs is None
    assert rows.dropped == {NO_TEXT: 2, NO_LABEL: 1}


def test_given_row_numbers_are_kept():
    rows = rows_of({"text": ["x", "y"], "label": [1, 0]}, numbers=np.array([7, 9]))
    assert rows.ids == ["a.csv:7", "a.csv:9"]


def test_a_pair_needs_both_texts():
    table = {"q": ["a", "b", ""], "p": ["c", None, "d"], "label": [1, 1, 1]}
    rows = rows_of(table, ("q", "p"))
    assert rows.texts == ["a"] and rows.pairs == ["c"] and rows.dropped == {NO_TEXT: 2}


def test_a_missing_column_is_named_with_those_that_exist():
    with pytest.raises(UserError, match=r"/data/a.csv has no column 'text'.*texts, label.*mean 'texts'"):
        rows_of({"texts": ["a"], "label": [1]})
    with pytest.raises(UserError, match="no column 'label'"):
        rows_of({"text": ["a"], "y": [1]})


def test_a_column_named_twice_is_refused():
    table = pa.Table.from_arrays([pa.array(["a"])] * 2 + [pa.array([1])], names=["text", "text", "label"])
    with pytest.raises(UserError, match="2 columns named 'text'"):
        from_table(table, source="a", where="a", text=["text"], label="label")


def test_no_rows_and_no_rows_left():
    with pytest.raises(UserError, match="holds no rows"):
        rows_of({"text": pa.array([], pa.string()), "label": pa.array([], pa.int64())})
    with pytest.raises(UserError, match=r"every row was left out \(no text: 2, no label: 1\)"):
        rows_of({"text": ["", None, "a"], "label": [1, 1, None]})
    with pytest.raises(UserError, match="every row was left out"):
        rows_of({"text": [None, None], "label": [1, 1]})


def test_numbers_are_not_texts_but_categories_are():
    with pytest.raises(UserError, match="column 'text' holds int64 values, not text"):
        rows_of({"text": [1, 2], "label": [1, 0]})
    rows = rows_of({"text": pa.array(["a", "b"]).dictionary_encode(), "label": [1, 0]})
    assert rows.texts == ["a", "b"] and rows.table.schema.field("text").type == pa.string()


def test_text_columns():
    assert text_columns("a") == ["a"] and text_columns(["a", "b"]) == ["a", "b"]
    with pytest.raises(UserError, match="3 columns"):
        text_columns(["a", "b", "c"])


def test_digest_sees_borders_and_order():
    assert digest([["ab", "c"]]) != digest([["a", "bc"]])
    assert digest([["a"], ["b"]]) != digest([["b"], ["a"]])
    assert digest([["a", "b"]]) == digest([iter(["a", "b"])])


def test_digest_is_what_it_was():
    texts = ["a", "", "\u00e4\u00f6", "word " * 9]
    lengths = b"".join(len(text.encode()).to_bytes(8, "little") for text in texts)
    parts = [lengths, "".join(texts).encode()]
    expected = sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()
    sliced = pa.array(["x", *texts, "y"]).slice(1, 4)
    chunked = pa.chunked_array([sliced.slice(0, 1), sliced.slice(1, 0), sliced.slice(1, 3)])
    assert digest([texts]) == digest([chunked]) == expected
    assert digest([[""]]) == digest([pa.chunked_array([[""]])]) != digest([[]])
    assert digest([[]]) == digest([pa.chunked_array([], pa.string())])


def test_digest_of_more_than_a_piece():
    texts = [f"row {i} " * (i % 3) for i in range(20_000)]
    assert digest([texts]) == digest([pa.chunked_array([texts])]) == digest([iter(texts)])
