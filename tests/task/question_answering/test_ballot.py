"""Votes on which words answer a question: blanks make no difference, masked texts keep their places, none is a vote."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from noria.common.errors import UserError
from noria.data.rows.rows import Rows
from noria.data.source.votes import Believed
from noria.task.question_answering.form import QuestionAnsweringForm

REQUEST = {"text": "Ada went to  New York.", "text_pair": "Where to?"}
ANSWER = {"answer": "York", "start": 17, "end": 21, "score": 0.5, "answers": []}
FORM = QuestionAnsweringForm(no_answer=True)
BALLOT, SERVICE = FORM.ballot(), FORM.service()


def test_who_selects_a_blank_more_says_the_same() -> None:
    said = [{"start": start, "end": end} for start, end in ((13, 21), (12, 21), (14, 20))]
    labels = [BALLOT.vote(REQUEST, ANSWER, False, one) for one in said]
    assert labels == [("[3, 5]", False)] * 3
    assert BALLOT.vote(REQUEST, ANSWER, True, None) == ("[4, 5]", False)
    assert BALLOT.vote(REQUEST, ANSWER, False, None) == ("[4, 5]", True)
    assert BALLOT.vote(REQUEST, ANSWER, False, {"start": 0, "end": 0}) == ("null", False)
    assert FORM.ballot().place(REQUEST) == BALLOT.place({**REQUEST, "text": "Ada went  to New York."})
    assert QuestionAnsweringForm(no_answer=False).ballot().vote(REQUEST, ANSWER, False, {"start": 0, "end": 0}) is None


def test_a_masked_passage_keeps_its_places() -> None:
    sent = "Ask ada@example.org: Ada went to Oslo."
    kept = {"text": "Ask <EMAIL>: Ada went to Oslo.", "text_pair": "Where to?", "masked": {"text": [[4, 19, 7]]}}
    start = sent.index("Oslo")
    _, correction = SERVICE.judged(kept, ANSWER, False, {"start": start, "end": start + 4})
    vote = BALLOT.vote(kept, ANSWER, False, correction)
    assert vote is not None
    [row] = pa.table(BALLOT.rows([Believed("1", "", vote[0], 1.0, 1, kept)])).to_pylist()
    assert row["answers"] == [{"text": "Oslo", "start": kept["text"].index("Oslo")}]
    with pytest.raises(UserError, match="ends behind the passage, which has 38 characters"):
        SERVICE.judged(kept, ANSWER, False, {"start": 0, "end": 39})


def test_what_is_known_of_rows_is_said_as_votes_say_it() -> None:
    answers = [[{"text": "New York", "start": 13}], []]
    texts = {name: [text] * 2 for name, text in REQUEST.items()}
    table = pa.table({"id": ["1", "2"], **texts, "answers": answers})
    rows = Rows(table, "here")
    assert BALLOT.known(rows) == ["[3, 5]", "null"] and BALLOT.requests(rows) == [REQUEST] * 2
    believed = [Believed(str(n), "", label, 1.0, 1, REQUEST) for n, label in enumerate(["[3, 5]", "null"])]
    assert pa.table(BALLOT.rows(believed))["answers"].to_pylist() == answers


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        ("York", "a span of the passage"),
        ({"start": 3, "end": 3}, "start below end"),
        ({"start": -1, "end": 3}, "start below end"),
        ({"start": True, "end": 3}, "a span of the passage"),
        ({"start": 0, "end": 3, "text": "Ada"}, "a span of the passage"),
    ],
)
def test_what_is_no_correction_is_refused(correction: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        SERVICE.correction(correction)


def test_a_correction_to_what_was_said_is_a_yes() -> None:
    same = SERVICE.correction({"end": 21, "start": 17})
    assert SERVICE.judged(REQUEST, ANSWER, False, same) == (True, None)
    other = SERVICE.correction({"start": 13, "end": 21})
    assert SERVICE.judged(REQUEST, ANSWER, False, other) == (False, other)
    with pytest.raises(UserError, match="covers no word"):
        SERVICE.judged(REQUEST, ANSWER, False, {"start": 11, "end": 12})
    with pytest.raises(UserError, match="all have an answer"):
        QuestionAnsweringForm(no_answer=False).service().correction({"start": 0, "end": 0})
    assert json.loads(json.dumps(SERVICE.described()))["no_answer"] is True
