from __future__ import annotations

import itertools

import numpy as np
import pytest

from noria.metric.tags import follows, labels_of
from noria.task.token_classification.viterbi import best

LABELS = labels_of(["B-A", "B-B"])


def by_hand(scores: np.ndarray) -> list[int]:
    """The best of all sequences that can be."""
    ways = (
        way
        for way in itertools.product(range(len(LABELS)), repeat=len(scores))
        if all(follows(None if i == 0 else LABELS[way[i - 1]], LABELS[now]) for i, now in enumerate(way))
    )
    return list(max(ways, key=lambda way: sum(scores[i, now] for i, now in enumerate(way))))


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_best_of_all_that_can_be(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [np.log(rng.dirichlet(np.ones(len(LABELS)), length)) for length in (1, 5, 0, 3, 4)]
    assert [path.tolist() for path in best(scores, LABELS)] == [by_hand(each) if len(each) else [] for each in scores]


def test_many_texts_of_all_lengths() -> None:
    rng = np.random.default_rng(0)
    scores = [np.log(rng.dirichlet(np.ones(len(LABELS)), n % 17)) if n % 17 else np.empty((0, 5)) for n in range(700)]
    found = best(scores, LABELS)
    assert [len(path) for path in found] == [n % 17 for n in range(700)]
    for path in found:
        tags = [LABELS[number] for number in path]
        assert all(follows(tags[i - 1] if i else None, tag) for i, tag in enumerate(tags))
