"""Exact match and F1 of short answers, against torchmetrics' SQuAD and by hand."""

from __future__ import annotations

from typing import Any

import pytest
from torchmetrics.text import SQuAD

from noria.common.errors import UserError
from noria.metric.answer_f1 import AnswerF1
from noria.metric.answer_text import answer_tokens
from noria.metric.answers import Answers, objects
from noria.metric.exact_match import ExactMatch

RIGHT = [["1976"], ["the Eiffel Tower", "Tower, Eiffel"], ["in a  small house."], ["Zoë's dog", "a dog"], ["no"]]
SAID = ["1976.", "Eiffel tower", "the small house", "dog", "a big yes"]


def answers(said: list[str], right: list[Any]) -> Answers:
    return Answers({"response": objects(said), "reference": objects(right)})


def test_they_are_the_official_ones() -> None:
    official = SQuAD()
    official.update(
        [{"prediction_text": text, "id": str(row)} for row, text in enumerate(SAID)],
        [{"answers": {"text": texts, "answer_start": [0] * len(texts)}, "id": str(n)} for n, texts in enumerate(RIGHT)],
    )
    expected = official.compute()
    given = answers(SAID, RIGHT)
    assert ExactMatch()(given) == pytest.approx(float(expected["exact_match"]) / 100)
    assert AnswerF1()(given) == pytest.approx(float(expected["f1"]) / 100)
    assert 0 < ExactMatch()(given) < AnswerF1()(given) < 1


def test_where_there_is_no_answer_saying_nothing_is_right() -> None:
    given = answers(["", "something", ""], [[], [], ["something"]])
    assert ExactMatch()(given) == pytest.approx(1 / 3) and AnswerF1()(given) == pytest.approx(1 / 3)
    only_articles = answers(["the"], [["an"]])  # nothing is left of either
    assert ExactMatch()(only_articles) == 1 and AnswerF1()(only_articles) == 1


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("de", "Der „große“ Hund, die Katze", ["große", "hund", "katze"]),
        ("es", "¿Los niños?", ["niños"]),
        ("zh", "北京 2008年", ["北", "京", "2008", "年"]),
        ("ar", "القط", ["قط"]),
        ("en", "The “big” dog", ["big", "dog"]),
    ],
)
def test_a_language_has_articles_of_its_own(language: str, text: str, words: list[str]) -> None:
    assert answer_tokens(text, "mlqa", language) == words


def test_the_two_ways_have_different_signatures() -> None:
    given = answers(["„Hund“"], [["der Hund"]])
    german = ExactMatch(normalization="mlqa", language="de")
    assert (ExactMatch()(given), german(given)) == (0, 1)
    found = german.estimate(given)
    assert found.signature == "norm:mlqa|lang:de" and ExactMatch().estimate(given).signature == "norm:squad"
    assert found.low < 1 == found.high == found.value
    with pytest.raises(UserError, match=r"language=xx: the articles of ar, de, en"):
        AnswerF1(normalization="mlqa", language="xx")
