from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.common.errors import UserError
from noria.data.source.inputs import read_inputs


def test_plain_lines_keep_their_places(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\nthree\n")
    assert list(read_inputs(str(path), ["text"])) == [{"text": "one"}, {"text": ""}, {"text": "three"}]


def test_json_lines_keep_their_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "one", "id": 3}\n{"text": null, "id": 4}\n')
    assert list(read_inputs(str(path), ["text"])) == [{"text": "one", "id": 3}, {"text": "", "id": 4}]


def test_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"one, two",x\nthree,y\n')
    (tmp_path / "a.tsv").write_text("text\tlabel\none\tx\n")
    pq.write_table(pa.table({"text": ["one", None]}), tmp_path / "a.parquet")
    assert [row["text"] for row in read_inputs(str(tmp_path / "a.csv"), ["text"])] == ["one, two", "three"]
    assert [row["text"] for row in read_inputs(str(tmp_path / "a.tsv"), ["text"])] == ["one"]
    assert [row["text"] for row in read_inputs(str(tmp_path / "a.parquet"), ["text"])] == ["one", ""]


def test_standard_input_takes_lines_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('plain\n{"text": "as json"}\n'))
    assert list(read_inputs("-", ["text"])) == [{"text": "plain"}, {"text": "as json"}]


def test_pairs_stand_on_both_sides_of_a_tab(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("a man\ta person\n")
    assert list(read_inputs(str(path), ["first", "second"])) == [{"first": "a man", "second": "a person"}]
    path.write_text("a man\ta person\nalone\n")
    with pytest.raises(UserError, match="line 2: a pair needs a tab"):
        list(read_inputs(str(path), ["first", "second"]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{broken", "line 2: not valid JSON"),
        ("[1]", "line 2: not a JSON object"),
        (json.dumps({"txt": "x"}), "there is no 'text'. Did you mean 'txt'"),
        (json.dumps({"text": 3}), "is no text"),
    ],
)
def test_a_bad_line_is_named_and_those_before_it_are_read(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    rows = read_inputs(str(path), ["text"])
    assert next(rows) == {"text": "fine"}
    with pytest.raises(UserError, match=words):
        next(rows)


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("café\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        list(read_inputs(str(path), ["text"]))
