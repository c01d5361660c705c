from __future__ import annotations

import bz2
import gzip
import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.common.errors import UserError
from noria.data.chat.conversations import Columns, read_conversations
from noria.data.source import delimited
from noria.data.source.files import read_rows, read_table
from noria.data.source.opening import read_text

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


def test_rows_longer_than_a_block(write, monkeypatch):
    monkeypatch.setattr(delimited, "BLOCK", 64)
    lines = [f'"row {i}, with\na break",{i}' for i in range(50)]
    lines[30] = f'"{"long " * 40}",30'
    found = read_table(write("a.csv", ["text,label", *lines]), COLUMNS)
    assert found["label"].to_pylist() == [str(i) for i in range(50)] and len(found["text"][30].as_py()) == 200
    assert found["text"][49].as_py() == "row 49, with\na break"


@pytest.mark.parametrize("long", [1, 100])
def test_what_is_wrong_is_said_in_later_blocks_too(write, monkeypatch, long):
    monkeypatch.setattr(delimited, "BLOCK", 64)
    lines = ["text,label", *(f"row {i},1" for i in range(50)), "x" * long + ",1"]
    with pytest.raises(UserError, match=r"row 52 .* has 3 columns, the header has 2: a,b,c"):
        read_table(write("a.csv", [*lines, "a,b,c", "d,1"]), COLUMNS)
    with pytest.raises(UserError, match=r"row 52 .* has 1 columns"):
        read_table(write("b.csv", [*lines, '"a,1', "d,1"]), COLUMNS)
    with pytest.raises(UserError, match="line 53: not UTF-8"):
        read_table(write("c.csv", "\n".join([*lines, "caf\xe9,1", "d,1"]).encode("latin-1")), COLUMNS)


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2.5], pa.float64()), ([None, "a"], pa.string()), ([[], ["a"]], pa.list_(pa.string())), ([2.5, 1], None)],
)
def test_a_type_that_shows_late(write, values, kind):
    early, late = values
    lines = [json.dumps({"text": "a", "label": early})] * 3000
    found = read_table(write("a.jsonl", [*lines, json.dumps({"text": "b", "label": late})]), COLUMNS)
    assert found["label"].type == (kind or pa.float64()) and found["label"].to_pylist() == [early] * 3000 + [late]


def test_types_that_do_not_go_together_late(write):
    lines = ['{"text": "a"}', *['{"text": "a", "label": 1, "list": [1]}'] * 3000]
    with pytest.raises(UserError, match=r"line 3002: 'label' is of type str, in line 2 of type int"):
        read_table(write("a.jsonl", [*lines, '{"text": "b", "label": "x"}']), COLUMNS)
    with pytest.raises(UserError, match=r"line 2049 or after it: the values of 'list' have no common type"):
        read_table(write("a.jsonl", [*lines, '{"text": "b", "list": ["x"]}']), ["text", "list"])


def test_a_column_that_is_there_late(write):
    lines = ['{"text": "a"}'] * 3000
    found = read_table(write("a.jsonl", [*lines, '{"label": "x"}']), COLUMNS)
    assert found["label"].null_count == 3000 and found["text"][3000].as_py() is None


def test_categories_of_several_row_groups(tmp_path):
    labels = [f"label {i // 100}" for i in range(1000)]
    table = pa.table({"text": ["a"] * 1000, "label": pa.array(labels).dictionary_encode()})
    pa.parquet.write_table(table, tmp_path / "a.parquet", row_group_size=100)
    assert read_table(tmp_path / "a.parquet", COLUMNS)["label"].to_pylist() == labels
    pa.parquet.write_table(table.slice(0, 0), tmp_path / "b.parquet")
    assert read_table(tmp_path / "b.parquet", COLUMNS).num_rows == 0


ROWS = [{"text": "a fine film", "label": "good"}, {"text": "a bore", "label": "bad"}]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("shape", ["list", "wrapped", "objects"])
def test_json_of_every_shape(write, name, indent, shape):
    content = {
        "list": json.dumps(ROWS, indent=indent),
        "wrapped": json.dumps({"version": 1, "authors": ["x"], "data": ROWS}, indent=indent),
        "objects": "\n".join(json.dumps(row, indent=indent) for row in ROWS),
    }[shape].encode()
    path = write(name, gzip.compress(content) if name.endswith("gz") else content)
    assert read_table(path, COLUMNS).to_pylist() == ROWS
    assert [row for _, row in read_rows(path, ["text"])] == ROWS


def test_an_object_that_is_no_wrapping_is_a_row(write):
    row = {"text": "one", "spans": [{"from": 1}]}
    for indent in (None, 1):
        path = write("a.json", json.dumps(row, indent=indent).encode())
        assert [found for _, found in read_rows(path, ["text"])] == [row]
    chat = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
    path = write("b.json", json.dumps(chat, indent=1).encode())
    assert read_conversations(path, Columns("messages", "prompt", "response", None)).ids == ["b.json:1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": ROWS, "test": ROWS}, "one object with several lists of objects: train, test"),
        (
            {"data": [{"title": "t", "paragraphs": [{"context": "c"}]}]},
            "no column 'text'. Its columns: title, paragraphs",
        ),
        ({"data": [1, 2]}, "no column 'text'. Its columns: data"),
    ],
)
def test_json_that_holds_no_rows(write, content, message):
    for indent in (None, 1):
        with pytest.raises(UserError, match=message):
            read_table(write("a.json", json.dumps(content, indent=indent).encode()), ["text"])


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_another_sign_between_cells(write, sign):
    path = write(
        "a.csv", [sign.join(["text", "label"]), sign.join(['"one, two"', "1"]), sign.join(["three, four", "2"])]
    )
    assert read_table(path, COLUMNS).to_pydict() == {"text": ["one, two", "three, four"], "label": ["1", "2"]}
    path = write("b.tsv", ["text,label", "one,1"])
    assert read_table(path, COLUMNS).to_pydict() == {"text": ["one"], "label": ["1"]}
    path = write("c.csv", ["text,label;x", "one,1"])
    assert [row for _, row in read_rows(path, ["text"])] == [{"text": "one", "label;x": "1"}], (
        "its own sign comes first"
    )


def test_a_file_without_a_header_is_told(write):
    path = write("a.csv", ['"3","Rain delays the harvest in the valley","Farmers waited"', '"4","A comet","Seen"'])
    with pytest.raises(UserError, match="The first line must name the columns; here it looks like a row"):
        read_table(path, COLUMNS)


@pytest.mark.parametrize(
    "lines",
    [
        ['"He said ""fine"" twice"\tgood', "plain\tbad"],
        [f'"row {number}"\tgood' for number in range(12)],
    ],
)
def test_a_tsv_that_looks_quoted_is_refused_with_the_key_that_decides(write, lines):
    path = write("a.tsv", ["text\tlabel", *lines])
    with pytest.raises(UserError, match=r"data.quoted=true takes the quotes off, data.quoted=false leaves them"):
        read_table(path, COLUMNS)
    assert '"' not in read_table(path, COLUMNS, quoted=True)["text"][0].as_py().replace('"fine"', "")
    assert read_table(path, COLUMNS, quoted=False)["text"][0].as_py() == lines[0].split("\t")[0]


def test_bare_quotes_in_a_tsv_stay(write):
    path = write("a.tsv", ["text\tlabel", '"quoted" and so on\tgood', '"""\tbad', '"a title"\tgood'])
    assert read_table(path, COLUMNS)["text"].to_pylist() == ['"quoted" and so on', '"""', '"a title"']


@pytest.mark.parametrize(("name", "pack"), [("a.csv.gz", gzip.compress), ("a.csv.bz2", bz2.compress)])
def test_packed_files(write, name, pack):
    plain = "text,label\n" + "".join(f'"row, {number}",{number}\n' for number in range(20_000))
    path = write(name, pack(plain.encode()))
    found = read_table(path, COLUMNS)
    assert found.num_rows == 20_000 and found["text"][19_999].as_py() == "row, 19999"
    with pytest.raises(UserError, match="cannot be"):
        read_table(write("b.jsonl.gz", b"not packed at all"), COLUMNS)
    with pytest.raises(UserError, match="line 2: not UTF-8"):
        read_table(write(name, pack("text,label\ncaf\xe9,1\n".encode("latin-1"))), COLUMNS)
    assert read_text(write("t.txt.gz", gzip.compress("\ufeffone\r\ntwo".encode()))) == "one\ntwo"


def test_rows_hold_all_columns_as_they_are(write, tmp_path):
    path = write("a.csv", ["id,text,note", "007,one,", '008,"two, three",x'])
    first = {"id": "007", "text": "one", "note": ""}
    assert list(read_rows(path, ["text"])) == [
        (f"{path}, row 1", first),
        (f"{path}, row 2", {"id": "008", "text": "two, three", "note": "x"}),
    ]
    path = write("a.jsonl", ['{"text": "a", "id": 12345678901234567890}', '{"text": "b", "id": {"x": [1, "y"]}}'])
    assert [row["id"] for _, row in read_rows(path, ["text"])] == [12345678901234567890, {"x": [1, "y"]}]
    table = pa.table({"id": [7, 8], "text": ["a", "b"], "stars": [[1.5], None]})
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    assert [row for _, row in read_rows(tmp_path / "a.parquet", ["text"])] == table.to_pylist()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,x,x\na,1,2\n", "has 2 columns named 'x'"),
        ("a.csv", b"txt,label\na,1\n", "no column 'text'.*Did you mean 'txt'"),
        ("a.csv", b"text,label\na,1\nb,2,3\n", "row 2 .* has 3 columns"),
        ("a.parquet", b"PAR1", "not a readable Parquet"),
        ("a.jsonl", b'{"text": "a"}\n\xff\n', "line 2: not UTF-8"),
        ("a.txt", b"a", "files that end in '.txt' are not read"),
    ],
)
def test_rows_that_cannot_be_read(write, name, content, message):
    with pytest.raises(UserError, match=message):
        list(read_rows(write(name, content), ["text"]))


def test_a_file_that_is_only_called_packed_is_refused(tmp_path):
    (tmp_path / "a.csv.gz").write_text("text,label\na,b\n")
    with pytest.raises(UserError, match=r"a.csv.gz' cannot be unpacked"):
        read_table(tmp_path / "a.csv.gz", ["text"])
