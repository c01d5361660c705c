"""The interval of a median holds for any distribution, and is none where there are too few values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from noria.statistics.median import median


def test_ends_are_values_and_too_few_have_none() -> None:
    few = median([3.0, 1.0, 2.0])
    assert few.value == 2 and math.isnan(few.low) and math.isnan(few.high)
    six = median([6.0, 1.0, 5.0, 2.0, 4.0, 3.0])
    assert (six.value, six.low, six.high, six.n) == (3.5, 1, 6, 6), "1 - 2 / 2**6 is 0.969"
    many = median(np.arange(1, 101))
    assert (many.low, many.high) == (binom.ppf(0.025, 100, 0.5), 101 - binom.ppf(0.025, 100, 0.5))


def test_it_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    drawn = [median(rng.exponential(size=15)) for _ in range(2000)]
    inside = np.mean([one.low <= math.log(2) <= one.high for one in drawn])
    assert 0.95 <= inside <= 0.98


def test_what_has_no_median_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        median([])
    with pytest.raises(ValueError, match="confidence"):
        median([1.0], confidence=1)
