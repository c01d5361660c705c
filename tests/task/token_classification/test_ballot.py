"""Corrections of tags as votes: told apart by words, and refused where what they point at is no more."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from noria.common.errors import UserError
from noria.data.rows.rows import Rows
from noria.task.token_classification.form import TokenClassificationForm

FORM = TokenClassificationForm(["O", "B-LOC", "I-LOC", "B-PER", "I-PER"])
PLAIN = TokenClassificationForm(["NN", "VB"])


def span(text: str, words: str, kind: str, more: int = 0) -> dict[str, Any]:
    start = text.index(words)
    return {"start": start, "end": start + len(words) + more, "type": kind}


def voted(request: dict[str, Any], *entities: dict[str, Any], form: TokenClassificationForm = FORM) -> list[str] | None:
    vote = form.ballot().vote(request, {"entities": []}, False, list(entities))
    return None if vote is None else json.loads(vote[0])


def test_a_blank_more_or_less_is_the_same_vote() -> None:
    text = "Ada saw New York."
    wanted = ["B-PER", "O", "B-LOC", "I-LOC", "O"]
    request = {"text": text}
    assert voted(request, span(text, "Ada", "PER"), span(text, "New York", "LOC")) == wanted
    assert voted(request, span(text, "Ada ", "PER"), span(text, " New Yor", "LOC")) == wanted
    spaced = {"text": "Ada  saw\nNew York ."}
    assert FORM.ballot().place(spaced) == FORM.ballot().place(request) != FORM.ballot().place({"text": "ada saw"})


def test_right_wrong_and_a_correction_are_different_votes() -> None:
    request, answer = {"text": "Ada"}, {"entities": [{"start": 0, "end": 3, "type": "PER", "score": 0.5}]}
    ballot = FORM.ballot()
    assert ballot.vote(request, answer, True, None) == ('["B-PER"]', False)
    assert ballot.vote(request, answer, False, None) == ('["B-PER"]', True)
    assert ballot.vote(request, answer, False, []) == ('["O"]', False)


def test_places_are_those_of_the_text_as_it_was_sent() -> None:
    # "ada@example.org, Ada" has become:
    request = {"text": "<EMAIL>, Ada", "masked": {"text": [[0, 15, 7]]}}
    assert voted(request, {"start": 17, "end": 20, "type": "PER"}) == ["O"] * 4 + ["B-PER"]
    both = ["B-PER", "I-PER", "I-PER", "O", "B-PER"]
    assert voted(request, {"start": 0, "end": 3, "type": "PER"}, {"start": 17, "end": 20, "type": "PER"}) == both
    within = [{"start": 0, "end": 3, "type": "PER"}, {"start": 4, "end": 11, "type": "LOC"}]
    assert voted(request, *within) is None, "nobody knows which was which"
    assert voted(request, within[0], {**within[1], "type": "PER"}) == ["B-PER", "I-PER", "I-PER", "O", "O"]


def test_what_the_model_does_not_know_is_no_vote() -> None:
    assert voted({"text": "Ada"}, {"start": 0, "end": 3, "type": "ORG"}) is None
    assert voted({"text": "Ada"}, {"start": 5, "end": 9, "type": "PER"}) is None
    assert FORM.ballot().read(None)[1] == FORM.ballot().read({"prompt": "a"})[1] == "no_text"


def test_plain_tags_are_those_of_each_word() -> None:
    text = "dogs bark loud"
    every = [span(text, "dogs", "NN"), span(text, "bark", "VB"), span(text, "loud", "NN")]
    assert voted({"text": text}, *every, form=PLAIN) == ["NN", "VB", "NN"]
    assert voted({"text": text}, span(text, "dogs bark", "NN"), every[2], form=PLAIN) == ["NN", "NN", "NN"]
    assert voted({"text": text}, *every[:2], form=PLAIN) is None
    service = PLAIN.service()
    with pytest.raises(UserError, match="Every word has a tag"):
        service.judged({"text": text}, {"entities": []}, False, service.correction(every[:2]))
    assert service.judged({"text": text}, {"entities": every}, False, service.correction(every[::-1])) == (True, None)
    assert service.judged(None, {"entities": []}, False, every[:2]) == (False, every[:2]), "nobody can look"


def test_known_rows_are_told_by_the_words_of_their_texts() -> None:
    table = pa.table(
        {
            "id": ["a", "b"],
            "text": ["don't go Rio-Sul now", "Ada went"],
            "words": pa.array([["don't", "go", "Rio-Sul", "now"], None]),
            "label": [["O", "O", "B-LOC", "O"], ["B-PER", "O"]],
        }
    )
    assert [json.loads(one) for one in FORM.ballot().known(Rows(table, "it"))] == [
        ["O", "O", "O", "O", "B-LOC", "I-LOC", "I-LOC", "O"],
        ["B-PER", "O"],
    ]
