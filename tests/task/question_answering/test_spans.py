"""The likeliest spans, held against all spans counted one by one; windows, blanks, nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

from noria.task.question_answering.spans import Found, Window, answered_first, best_spans

TEXT = "ab cd  ef gh"
PLACES = np.array([[0, 2], [2, 5], [5, 9], [9, 12]])  # as some tokenizers have them: with the blanks before a word
NOTHING = np.zeros(2)


@pytest.mark.parametrize("longest", [1, 2, 4, 9])
def test_they_are_those_of_all_pairs(longest: int) -> None:
    rng = np.random.default_rng(longest)
    windows = [Window(rng.normal(size=(4, 2)), PLACES, rng.normal(size=2)) for _ in range(3)]
    scores: dict[tuple[int, int], float] = {(0, 0): min(float(one.nothing.sum()) for one in windows)}
    for one in windows:
        for first in range(4):
            for last in range(first, min(first + longest, 4)):
                text = TEXT[PLACES[first, 0] : PLACES[last, 1]]
                start = int(PLACES[first, 0]) + len(text) - len(text.lstrip())
                span = start, start + len(text.strip())
                scores[span] = max(scores.get(span, -np.inf), float(one.logits[first, 0] + one.logits[last, 1]))
    found = best_spans(TEXT, windows, 50, longest, no_answer=True)
    total = sum(np.exp(score) for score in scores.values())
    wanted = sorted(scores.items(), key=lambda item: -item[1])
    assert [(one.start, one.end) for one in found] == [span for span, _ in wanted]
    assert [one.score for one in found] == pytest.approx([np.exp(score) / total for _, score in wanted])
    few = best_spans(TEXT, windows, 2, longest, no_answer=False)
    spans = [span for span, _ in wanted if span != (0, 0)]
    assert [(one.start, one.end) for one in few] == spans[:2]


def test_none_has_to_be_the_likeliest_in_every_window() -> None:
    sees = Window(np.array([[4.0, 0], [0, 0], [0, 0], [0, 4.0]]), PLACES, np.array([1.0, 1.0]))
    blind = Window(np.zeros((4, 2)), PLACES, np.array([9.0, 9.0]))
    assert best_spans(TEXT, [blind, sees], 20, 30, True)[0][:2] == (0, 12)
    assert best_spans(TEXT, [blind], 20, 30, True)[0].nothing


def test_an_empty_passage_has_no_answer_and_is_no_crash() -> None:
    window = Window(np.empty((0, 2)), np.empty((0, 2), int), NOTHING)
    blanks = Window(np.zeros((1, 2)), np.array([[2, 3]]), NOTHING)
    for one in (window, blanks):
        assert best_spans(TEXT, [one], 20, 30, False) == []
        assert best_spans(TEXT, [one], 20, 30, True) == [Found(0, 0, 1.0)]


@pytest.mark.parametrize(("threshold", "first"), [(0.0, (0, 0)), (0.9, (0, 0)), (1.1, (0, 2))])
def test_no_answer_has_to_be_so_much_above_the_best_span(threshold: float, first: tuple[int, int]) -> None:
    window = Window(np.array([[1.0, 1.0]]), np.array([[0, 2]]), np.array([1.5, 1.5]))
    found = answered_first(best_spans(TEXT, [window], 20, 30, True), threshold)
    assert found[0][:2] == first and len(found) == 2
