"""Metrics of rankings: against the mean over all orders of what has the same score, and against torchmetrics."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics.functional.retrieval import (
    retrieval_average_precision,
    retrieval_normalized_dcg,
    retrieval_recall,
    retrieval_reciprocal_rank,
)

from noria.metric.answers import Answers, objects
from noria.metric.map import MAP, average_precision
from noria.metric.mrr import MRR, reciprocal_rank
from noria.metric.ndcg import NDCG, ndcg
from noria.metric.ranks import Ranked
from noria.metric.retrieval_recall import RetrievalRecall, recall

BY_HAND = {
    ndcg: lambda order, k: (
        sum(g / math.log2(r + 1) for r, g in enumerate(order[:k], 1))
        / sum(g / math.log2(r + 1) for r, g in enumerate(sorted(order, reverse=True)[:k], 1))
    ),
    reciprocal_rank: lambda order, k: next((1 / r for r, g in enumerate(order[:k], 1) if g), 0.0),
    average_precision: lambda order, k: (
        sum(sum(g > 0 for g in order[:r]) / r for r, g in enumerate(order[:k], 1) if g) / sum(g > 0 for g in order)
    ),
    recall: lambda order, k: sum(g > 0 for g in order[:k]) / sum(g > 0 for g in order),
}


def ranked(scores: list[float], grades: list[float]) -> Ranked:
    own, relevant = np.array(scores), np.array(grades) > 0
    return Ranked(
        np.array(grades, float)[relevant],
        np.array([(own > score).sum() for score in own[relevant]], float),
        np.array([(own == score).sum() for score in own[relevant]]),
    )


@pytest.mark.parametrize("k", [1, 2, 3, 5, None])
@pytest.mark.parametrize("measure", BY_HAND, ids=lambda measure: measure.__name__)
def test_equal_scores_have_the_mean_over_their_orders(measure: Any, k: int | None) -> None:
    generator = np.random.default_rng(0)
    for _ in range(12):
        scores = generator.integers(0, 3, 6).astype(float).tolist()
        grades = [*generator.integers(0, 3, 5).tolist(), 1]
        falling = sorted(set(scores), reverse=True)
        alike = [[grade for score, grade in zip(scores, grades, strict=True) if score == one] for one in falling]
        orders = [list(itertools.chain(*each)) for each in itertools.product(*map(itertools.permutations, alike))]
        expected = float(np.mean([BY_HAND[measure](order, k) for order in orders]))
        assert measure(ranked(scores, grades), k) == pytest.approx(expected, abs=1e-12)


def test_without_equal_scores_they_are_torchmetrics_own() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        scores = torch.rand(30, generator=generator)  # torchmetrics takes what scores 0 or less for not relevant
        grades = torch.randint(0, 4, (30,), generator=generator)
        relevant = grades > 0
        own = ranked(scores.tolist(), grades.tolist())
        assert ndcg(own, 10) == pytest.approx(float(retrieval_normalized_dcg(scores, grades, 10)), abs=1e-6)
        assert reciprocal_rank(own, 10) == pytest.approx(
            float(retrieval_reciprocal_rank(scores, relevant, 10)), abs=1e-6
        )
        assert average_precision(own, None) == pytest.approx(
            float(retrieval_average_precision(scores, relevant)), abs=1e-6
        )
        assert recall(own, 10) == pytest.approx(float(retrieval_recall(scores, relevant, 10)), abs=1e-6)


def test_a_search_that_scores_all_alike_gets_no_credit() -> None:
    """One of 1,000 documents is relevant, and all have the same score: wherever it is stored."""
    own = Ranked(np.ones(1), np.zeros(1), np.array([1000]))
    assert recall(own, 10) == pytest.approx(0.01)
    assert reciprocal_rank(own, 10) == pytest.approx(sum(1 / r for r in range(1, 11)) / 1000)
    assert ndcg(own, 10) == pytest.approx(sum(1 / math.log2(r + 1) for r in range(1, 11)) / 1000)


def test_documents_that_were_not_found_count_as_misses() -> None:
    own = Ranked(np.array([2.0, 1.0]), np.array([0.0, math.inf]), np.array([1, 1]))
    assert recall(own, None) == 0.5 and average_precision(own, None) == 0.5 and reciprocal_rank(own, None) == 1
    assert ndcg(own, None) == pytest.approx(2 / (2 + 1 / math.log2(3)))
    nothing = Ranked(np.ones(1), np.array([math.inf]), np.ones(1, int))
    assert [measure(nothing, 10) for measure in BY_HAND] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "metric", [NDCG(), MRR(), MAP(), RetrievalRecall(k=5)], ids=lambda metric: type(metric).__name__
)
def test_the_mean_over_queries_has_an_interval_and_leaves_out_queries_without_relevant_documents(metric: Any) -> None:
    generator = np.random.default_rng(1)
    rows = [ranked(generator.random(40).tolist(), generator.integers(0, 2, 40).tolist()) for _ in range(60)]
    rows.append(ranked([1.0, 2.0], [0, 0]))
    answers = Answers({name: objects([getattr(row, name) for row in rows]) for name in ("grades", "above", "tied")})
    found = metric.estimate(answers, resamples=100)
    each = [metric.of_query(row) for row in rows[:-1]]
    assert found.value == pytest.approx(np.mean(each)) and found.low < found.value < found.high
    assert metric.undefined(answers) == ""
    empty = Answers({name: objects([np.zeros(0)]) for name in ("grades", "above", "tied")})
    assert "no query has a relevant document" in metric.undefined(empty)
