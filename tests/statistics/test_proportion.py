"""Wilson's interval against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from noria.statistics.proportion import wilson

Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution


def by_hand(k: int, n: int, z: float) -> tuple[float, float]:
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


@pytest.mark.parametrize(("k", "n"), [(1, 1), (0, 1), (0, 10), (7, 10), (10, 10), (848, 1000)])
def test_formula(k: int, n: int) -> None:
    estimate = wilson(k, n)
    assert estimate.value == k / n
    assert (estimate.low, estimate.high) == pytest.approx(by_hand(k, n, Z95), abs=1e-9)
    assert (estimate.n, estimate.method, estimate.confidence) == (n, "wilson", 0.95)


def test_the_same_numbers_as_scipy() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 10, 872, 25_000):
        for k in {0, n, *rng.integers(0, n + 1, 5).tolist()}:
            for confidence in (0.9, 0.95, 0.9999):
                peer = binomtest(k, n).proportion_ci(confidence, "wilson")
                found = wilson(k, n, confidence)
                assert (found.low, found.high) == (peer.low, peer.high)


def test_confidence_widens() -> None:
    assert (wilson(7, 10, 0.99).low, wilson(7, 10, 0.99).high) == pytest.approx(by_hand(7, 10, 2.5758293035489004))
    assert wilson(7, 10, 0.99).low < wilson(7, 10).low


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(ValueError, match=str(n)):
        wilson(k, n)
