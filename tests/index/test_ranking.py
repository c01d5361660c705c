"""Documents by their best passages, fused rankings, and ranks of those that are relevant, at equal scores too."""

from __future__ import annotations

import numpy as np
import pytest

from noria.index.lexical import Lexical, check_language
from noria.index.ranking import Ranking, fused, of_documents, relevant_ranks


def ranking(*scores: float) -> Ranking:
    return Ranking(np.arange(len(scores)), np.array(scores, float), np.arange(len(scores)) + 100)


def test_a_document_is_found_by_its_best_passage() -> None:
    owners = np.array([0, 0, 1, 2, 2, 3])
    found = of_documents(np.array([4, 1, 0, 2, 3]), np.array([0.9, 0.5, 0.7, 0.7, 0.1], np.float32), owners, 3)
    assert found.documents.tolist() == [2, 0, 1] and found.passages.tolist() == [4, 0, 2]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.7])


def test_fusion_is_a_sum_over_ranks_and_equal_scores_share_theirs() -> None:
    first, second = ranking(9, 5, 5, 1), Ranking(np.array([3, 0]), np.array([0.5, 0.4]), np.array([7, 8]))
    found = fused([first, second], 10)
    wanted = {0: 1 / 61 + 1 / 62, 1: 1 / 62.5, 2: 1 / 62.5, 3: 1 / 64 + 1 / 61}
    assert found.documents.tolist() == [0, 3, 1, 2]
    assert found.scores.tolist() == pytest.approx([wanted[one] for one in found.documents])
    assert found.passages.tolist() == [100, 7, 101, 102], "that of the ranking in which it stands highest"
    assert not len(fused([ranking()], 3).documents)


def test_relevant_documents_at_equal_scores_and_those_that_were_not_found() -> None:
    above, tied = relevant_ranks(ranking(3, 2, 2, 2 - 1e-8, 1), [2, 0, 4, 9])
    assert above == [1, 0, 4, np.inf] and tied == [3, 1, 1, 1]


def test_words_are_told_apart_by_what_they_say() -> None:
    texts = ["Die Häuser am Fluß", "ein HAUS", "\uff28\uff21\uff35\uff33", "", "the house"]
    made = Lexical.build(texts, 1.5, 0.75, "german")
    assert (made.scores("haus") > 0).tolist() == [True, True, True, False, False]
    assert not made.scores("").any() and not made.scores("nirgends").any()
    empty = Lexical.build(["", " "], 1.5, 0.75, "english")
    assert empty.scores("house").tolist() == [0, 0]
    check_language(None)


def test_bm25_is_that_of_its_formula() -> None:
    texts = ["wheel water water", "wheel stone", "stone stone stone sand"]
    found = Lexical.build(texts, 1.5, 0.75, None).scores("water stone")
    lengths = np.array([3, 2, 4])
    norm = 1.5 * (1 - 0.75 + 0.75 * lengths / lengths.mean())

    def part(counts: list[int]) -> np.ndarray:
        tf, there = np.array(counts), sum(count > 0 for count in counts)
        return np.log(1 + (3 - there + 0.5) / (there + 0.5)) * tf / (tf + norm)

    np.testing.assert_allclose(found, part([2, 0, 0]) + part([0, 1, 3]), rtol=1e-5)
