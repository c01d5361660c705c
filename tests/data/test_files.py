from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.common.errors import UserError
from noria.data.files import read_table

COLUMNS = ["text", "label"]


def test_csv_with_quotes_newlines_and_a_byte_order_mark(write):
    path = write("a.csv", '\ufefftext,extra,label\n"two\nlines, ""quoted""",x,1\nNA,,007\n'.encode())
    assert read_table(path, COLUMNS).to_pydict() == {
        "text": ['two\nlines, "quoted"', "NA"],
        "label": ["1", "007"],
    }


def test_tsv_keeps_bare_quotes_unless_told(write):
    path = write("a.tsv", ["text\tlabel", '"a\t1', "b\t2"])
    assert read_table(path, COLUMNS)["text"].to_pylist() == ['"a', "b"]
    path = write("b.tsv", ["text\tlabel", '"a\tb"\t1'])
    assert read_table(path, COLUMNS, quoted=True)["text"].to_pylist() == ["a\tb"]


def test_a_long_row_fits(write):
    path = write("a.csv", ["text,label", "word " * 600_000 + ",1", "b,0"])
    assert read_table(path, COLUMNS).num_rows == 2


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_json_lines(write, name):
    path = write(name, ['{"text": "a\u2028b", "label": 1, "n": {}}', "", '{"label": 0, "text": "c", "n": 1}'])
    assert read_table(path, COLUMNS).to_pydict() == {"text": ["a\u2028b", "c"], "label": [1, 0]}


def test_json_list_and_absent_values(write):
    path = write("a.json", json.dumps([{"text": "a", "label": ["x"]}, {"text": "b"}]).encode())
    assert read_table(path, COLUMNS).to_pydict() == {"text": ["a", "b"], "label": [["x"], None]}


def test_parquet(tmp_path):
    folder = tmp_path / "label=7"  # must not become a column of its own
    folder.mkdir()
    pa.parquet.write_table(pa.table({"text": ["a"], "more": [2.0], "label": [1]}), folder / "a.parquet")
    assert read_table(folder / "a.parquet", COLUMNS).to_pydict() == {"text": ["a"], "label": [1]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "'.*a.csv' is empty"),
        ("a.csv", b"\n\n", "'.*a.csv' is empty"),
        ("a.csv", b"text,label\na,1\nb,2,3\n", r"row 2 .* has 3 columns, the header has 2: b,2,3"),
        ("a.csv", b"text,label\na,1\nb\n", r"row 2 .* has 1 columns"),
        ("a.csv", b'text,label\n"a,1\nb,2\n', r"row 1 .* has 1 columns"),
        ("a.csv", b"txt,label\na,1\n", "no column 'text'.*txt, label.*Did you mean 'txt'"),
        ("a.csv", "text,label\na,1\ncaf\xe9,2\n".encode("latin-1"), "line 3: not UTF-8"),
        ("a.csv", "t\xe9xt,label\na,1\n".encode("latin-1"), "line 1: not UTF-8"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), "line 1: not UTF-8"),
        ("a.jsonl", b"", "'.*a.jsonl' is empty"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": "b", \n', "line 2: not valid JSON"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n\n[1]\n', r"line 3: not a JSON object: \[1\]"),
        ("a.jsonl", b'{"text": "a", "label": 1}\n{"text": 5, "label": 1}\n', "line 2: 'text' is of type int"),
        (
            "a.jsonl",
            b'{"text": "a", "label": 1}\n{"text": "b", "label": "x"}\n',
            "line 2: 'label' is of type",
        ),
        ("a.jsonl", b'{"text": "\\ud800", "label": 1}\n', "line 1: a bad value for 'text'"),
        ("a.jsonl", b'{"text": "a"}\n', "no column 'label'. Its columns: text"),
        ("a.jsonl", '{"text": "caf\xe9"}\n'.encode("latin-1"), "line 1: not UTF-8"),
        ("a.json", b'[{"text": "a"},\n{"text": ]', "line 2: not valid JSON"),
        ("a.json", b"[]", "is empty"),
        ("a.parquet", b"PAR1 not", "not a readable Parquet file"),
        ("a.xlsx", b"x", r"end in '.xlsx' are not read. Known endings: .csv"),
    ],
)
def test_what_is_wrong_is_said(write, name, content, message):
    with pytest.raises(UserError, match=message):
        read_table(write(name, content), COLUMNS)


def test_a_missing_file_is_guessed(write):
    path = write("train.csv", ["text,label", "a,1"])
    with pytest.raises(UserError, match=r"no file '.*trian.csv'. Did you mean 'train.csv'"):
        read_table(path.replace("train", "trian"), COLUMNS)
    with pytest.raises(UserError, match="no file"):
        read_table("/nowhere/at/all.csv", COLUMNS)
