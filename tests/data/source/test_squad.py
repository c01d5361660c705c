"""Questions in SQuAD's format, and files in which answers stand where they should not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.common.errors import UserError
from noria.data.source.squad import read_squad

PASSAGE = "Ada sang. Then Ada 😀 left the house, and Ben stayed."


def question(*answers: tuple[str, int], asked: str = "who?", **more: Any) -> dict[str, Any]:
    return {"id": "1", "question": asked, "answers": [{"text": t, "answer_start": s} for t, s in answers], **more}


def squad(path: Path, *questions: dict[str, Any], passage: str = PASSAGE) -> Path:
    path.write_text(
        json.dumps(
            {"version": "1", "data": [{"title": "x", "paragraphs": [{"context": passage, "qas": list(questions)}]}]}
        )
    )
    return path


def test_questions_with_their_spans(tmp_path: Path) -> None:
    path = squad(tmp_path / "dev.json", question(("Ada", 15), ("Ada", 15), ("Ben", 41)), question(asked="how?"))
    rows = read_squad(path)
    assert rows.table.to_pylist() == [
        {
            "id": "dev.json:1",
            "text": PASSAGE,
            "text_pair": "who?",
            "group": "x",
            "answers": [{"text": "Ada", "start": 15}, {"text": "Ben", "start": 41}],
        },
        {"id": "dev.json:2", "text": PASSAGE, "text_pair": "how?", "group": "x", "answers": []},
    ]
    assert not rows.dropped


def test_what_the_second_version_calls_impossible_has_no_answer(tmp_path: Path) -> None:
    path = squad(tmp_path / "dev.json", question(("Ada", 0), is_impossible=True, plausible_answers=[]))
    assert read_squad(path).table["answers"].to_pylist() == [[]]


def test_answers_that_stand_elsewhere_are_moved_and_those_that_stand_nowhere_left_out(tmp_path: Path) -> None:
    path = squad(
        tmp_path / "dev.json",
        question(("Ben", 42)),  # counted in UTF-16, where the emoji are two
        question(("Ada", 13)),  # twice there: the nearest one
        question(("Ada", 3)),
        question(("Eve", 0)),
        question(("Eve", 0), ("Ada", -7)),
        question(("Ada", 0), asked="  "),
    )
    rows = read_squad(path)
    found = [[(one["text"], one["start"]) for one in each] for each in rows.table["answers"].to_pylist()]
    assert found == [[("Ben", 41)], [("Ada", 15)], [("Ada", 0)], [("Ada", 0)]]
    assert rows.dropped == {"no_text": 1, "answer_not_in_its_passage": 1, "answer_moved": 4}
    assert rows.ids == ["dev.json:1", "dev.json:2", "dev.json:3", "dev.json:5"]


def test_a_table_as_the_hub_has_it(tmp_path: Path) -> None:
    rows = [
        {"title": "y", "context": PASSAGE, "question": "who?", "answers": {"text": ["Ben"], "answer_start": [42]}},
        {"context": PASSAGE, "question": "how?", "answers": {"text": [], "answer_start": []}},
    ]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "dev.parquet")
    for name in ("dev.jsonl", "dev.parquet"):
        found = read_squad(tmp_path / name)
        assert found.table["answers"].to_pylist() == [[{"text": "Ben", "start": 41}], []]
        assert found.table["group"].to_pylist() == ["y", PASSAGE] and found.dropped == {"answer_moved": 1}
    for answers in (None, "Ben", {"text": ["Ben"]}, {"text": ["Ben"], "answer_start": []}):
        (tmp_path / "dev.jsonl").write_text(json.dumps({**rows[0], "answers": answers}) + "\n")
        with pytest.raises(UserError, match=r"line 1.*two lists of one length"):
            read_squad(tmp_path / "dev.jsonl")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"data": [{"paragraphs": 3}]}, r"article 1: 'paragraphs' is 3, but must be a list of objects"),
        ({"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}, r"article 1, paragraph 1: 'context' is 3"),
        (
            {"data": [{"paragraphs": [{"context": "x", "qas": [{"question": "y", "answers": [{"text": "x"}]}]}]}]},
            r"article 1, paragraph 1, question 1: 'answer_start' is None",
        ),
        ({"data": [{"paragraphs": []}]}, "holds no question"),
        ({"data": [{"paragraphs": [{"context": " ", "qas": [question()]}]}]}, r"every one was left out \(no text: 1\)"),
    ],
)
def test_files_in_another_form(tmp_path: Path, content: Any, words: str) -> None:
    (tmp_path / "dev.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=words):
        read_squad(tmp_path / "dev.json")


def test_policyqa_and_xquad(shared_data: Callable[[str], Path]) -> None:
    for name, count in (("policyqa/dev.json", 3809), ("xquad/xquad.en.json", 1190)):
        folder, _, file = name.partition("/")
        rows = read_squad(shared_data(folder) / file)
        assert len(rows) == count and not rows.dropped
        row = rows.table.slice(7, 1).to_pylist()[0]
        assert row["text"].startswith(row["answers"][0]["text"], row["answers"][0]["start"])
