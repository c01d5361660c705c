"""Intervals for statistics without a formula (bootstrap) and for means (Student's t).

Knows row numbers and values, not what they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from noria.statistics.estimate import Estimate


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    """The percentile interval of `statistic` over resampled rows (Efron and Tibshirani 1993, chapter 13).

    `statistic` takes an index array (n,) of rows, with repetition, and returns a number; the estimate's value
    is that of the rows as they are. The same `n` and `seed` give the same resamples, whatever the statistic.

    Resamples on which the statistic is NaN are left out, and the method then says how many were used; when
    more than half are NaN there is no interval. One row has none either: every resample would be that row.

    Raises:
        ValueError: no rows, no resamples, or a confidence outside (0, 1).
    """
    if n < 1:
        raise ValueError(f"a bootstrap needs at least one row, got n={n}")
    if resamples < 1:
        raise ValueError(f"a bootstrap needs at least one resample, got {resamples}")
    _check_confidence(confidence)
    method = "bootstrap percentile"
    value = float(statistic(np.arange(n)))
    if n == 1:
        return Estimate(value, math.nan, math.nan, n, method, confidence)

    rng = np.random.default_rng(seed)
    values = np.array([float(statistic(rng.integers(0, n, size=n))) for _ in range(resamples)])
    values = values[~np.isnan(values)]
    if len(values) < resamples:
        method = f"{method}, {len(values)} of {resamples} resamples"
    if 2 * len(values) < resamples:
        return Estimate(value, math.nan, math.nan, n, method, confidence)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n, method, confidence)


def mean_interval(values: np.ndarray, confidence: float = 0.95) -> Estimate:
    """The mean of `values` (n,) with Student's t interval: mean -+ t(n-1) * s / sqrt(n).

    One value has no interval. A NaN among the values makes the mean and its interval NaN.

    Raises:
        ValueError: no values, more than one dimension, or a confidence outside (0, 1).
    """
    # Kept out of the module's import: scipy.special takes a while to load.
    from scipy.special import stdtrit

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"a mean needs values of shape (n,), got shape {values.shape}")
    n = len(values)
    if n < 1:
        raise ValueError("a mean needs at least one value, got none")
    _check_confidence(confidence)
    mean = float(values.mean())
    if n == 1:
        return Estimate(mean, math.nan, math.nan, n, "student t", confidence)
    half = float(stdtrit(n - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n, "student t", confidence)


def ratio_interval(
    totals: np.ndarray, weights: np.ndarray, *, resamples: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Estimate:
    """The sum of `totals` (n,) over the sum of `weights` (n,), with the percentile interval over resampled rows.

    It is the mean of what the weights count (a loss a token, where row i has `weights[i]` tokens), resampled by
    rows because what stands in one row is not independent. Where the weights sum to 0 the ratio is NaN.

    Raises:
        ValueError: no rows, other shapes than (n,), a negative weight, or as `bootstrap`.
    """
    totals, weights = np.asarray(totals, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if totals.ndim != 1 or totals.shape != weights.shape:
        raise ValueError(f"a ratio needs two arrays of shape (n,), got shapes {totals.shape} and {weights.shape}")
    if (weights < 0).any():
        raise ValueError("a ratio needs weights of at least 0")

    def ratio(rows: np.ndarray) -> float:
        weight = float(weights[rows].sum())
        return float(totals[rows].sum()) / weight if weight else math.nan

    return bootstrap(ratio, len(totals), resamples=resamples, seed=seed, confidence=confidence)


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
