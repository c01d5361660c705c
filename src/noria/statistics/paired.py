"""Two systems on the same rows: tests and intervals of the difference, first minus second.

For one run or many against the same baseline. The rows are what is random here; for seeds see `seeds`. Features and
`value` are those of `resample`.
"""

from __future__ import annotations

import math

import numpy as np

from noria.statistics import resample
from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate
from noria.statistics.resample import Value, as_stack, metric

FEW = 10  # extremes below which their count is too coarse a p-value


def mcnemar(first_right: np.ndarray, second_right: np.ndarray) -> float:
    """The exact two-sided p of McNemar's test on rows that each system has right or wrong, bool (n,) each.

    Raises:
        ValueError: shapes that do not fit, or no rows.
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    _check_rows(first, second)
    return float(mcnemar_many(np.array([(first & ~second).sum()]), np.array([(second & ~first).sum()]))[0])


def mcnemar_many(only_first: np.ndarray, only_second: np.ndarray) -> np.ndarray:
    """The exact p of each of many pairs (m,), by how many rows only one of the two systems has right.

    Without a difference each such row falls to either side with chance 1/2, so p is twice the binomial tail, at most
    1 (McNemar 1947; the exact form: Agresti 2013, Categorical Data Analysis, section 11.1.4).

    Raises:
        ValueError: shapes that do not fit, or negative counts.
    """
    # Kept out of the module's import: scipy.special takes a while to load.
    from scipy.special import bdtr

    first, second = np.asarray(only_first), np.asarray(only_second)
    if first.shape != second.shape:
        raise ValueError(f"both counts need the same shape, got {first.shape} and {second.shape}")
    if (first < 0).any() or (second < 0).any():
        raise ValueError("counts must be at least 0")
    return np.minimum(1.0, 2 * bdtr(np.minimum(first, second), first + second, 0.5))


def proportion_difference(only_first: int, only_second: int, n: int, confidence: float = 0.95) -> Estimate:
    """The difference of two proportions of the same `n` rows, with Bonett and Price's adjusted Wald interval.

    A row is added to each of the two counts, and so two to `n`, for the interval alone; the value is the plain
    difference (Bonett and Price 2012, Journal of Educational and Behavioral Statistics 37, equation 4).

    Raises:
        ValueError: no rows, counts that do not fit into `n`, or a confidence outside (0, 1).
    """
    from scipy.special import ndtri

    resample.check_confidence(confidence)
    middle, error = adjusted_wald(only_first, only_second, n)
    half = float(ndtri((1 + confidence) / 2)) * error
    value = (only_first - only_second) / n
    return Estimate(value, max(middle - half, -1.0), min(middle + half, 1.0), n, "bonett-price", confidence)


def adjusted_wald(only_first: int, only_second: int, n: int) -> tuple[float, float]:
    """The middle of the interval of `proportion_difference` and its standard error.

    Raises:
        ValueError: no rows, or counts that do not fit into `n`.
    """
    if n < 1:
        raise ValueError(f"a difference of proportions needs at least one row, got n={n}")
    if only_first < 0 or only_second < 0 or only_first + only_second > n:
        raise ValueError(f"counts must be at least 0 and together at most n={n}, got {only_first} and {only_second}")
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    middle = first - second
    return middle, math.sqrt((first + second - middle**2) / (n + 2))


def mean_difference(first: np.ndarray, second: np.ndarray, confidence: float = 0.95) -> tuple[Estimate, float]:
    """The mean of the rows' differences, (n,) each, with the paired t interval, and the p of the paired t test.

    One row has neither. Where all differences are 0, p is 1.

    Raises:
        ValueError: shapes that do not fit, no rows, or a confidence outside (0, 1).
    """
    from scipy.special import stdtr

    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    _check_rows(first, second)
    differences = first - second
    found = mean_interval(differences, confidence)
    estimate = Estimate(found.value, found.low, found.high, found.n, "paired t", confidence)
    if found.n == 1:
        return estimate, math.nan
    if not differences.any():
        return estimate, 1.0
    with np.errstate(divide="ignore"):
        t = found.value / (differences.std(ddof=1) / math.sqrt(found.n))
    return estimate, float(2 * stdtr(found.n - 1, -abs(t)))


def permutation(
    first: np.ndarray, second: np.ndarray, value: Value, *, permutations: int = 2000, seed: int = 0
) -> float:
    """`permutation_many` of one pair, features (n, k) each."""
    return float(permutation_many(as_stack(first), second, value, permutations=permutations, seed=seed)[0])


def permutation_many(
    stack: np.ndarray, baseline: np.ndarray, value: Value, *, permutations: int = 2000, seed: int = 0
) -> np.ndarray:
    """The two-sided p (runs,) that a metric of each run differs from that of the baseline, by random swaps.

    Were the two systems alike, it would not matter which of them made which of a row's two outputs: in each
    permutation every row's features are swapped or not by the toss of a coin, the same for all runs, and p is
    (1 + extremes) / (1 + permutations), an extreme being a difference at least as large as that observed (Noreen
    1989, chapter 2: approximate randomization). A permutation without a value counts as an extreme.

    Where fewer than `FEW` extremes are seen, p is the two-sided tail of a normal with the permutations' own standard
    deviation, for a count cannot tell 1e-4 from 1e-9 and a correction for many comparisons must. A sum of
    coin-tossed differences has no heavier a tail than that, up to a factor of 4.5 (Pinelis 1994).

    Args:
        stack: (runs, n, k).
        baseline: (n, k), or one for each run (runs, n, k).

    Returns:
        NaN where the metric of the run or of the baseline is NaN.

    Raises:
        ValueError: shapes that do not fit, or no permutations.
    """
    if permutations < 1:
        raise ValueError(f"a permutation test needs at least one permutation, got {permutations}")
    stack, other = _pair(stack, baseline)
    totals, other_totals = stack.sum(1, dtype=np.float64), other.sum(1, dtype=np.float64)
    observed = np.abs(metric(value, totals) - metric(value, other_totals))
    # What is equal but for rounding (float32 in the sums) is as large.
    reach = observed * (1 - 1e-6) - 1e-12
    extremes, squares, defined = (np.zeros(len(stack)) for _ in range(3))
    for swaps in resample.coins(stack.shape[1], permutations, seed):
        for part in resample.chunks(len(stack), stack.shape[1:], len(swaps)):
            moved = resample.weighted_sums(np.subtract(other[part], stack[part], dtype=np.float64), swaps)
            changed = metric(value, totals[part, None] + moved) - metric(value, other_totals[part, None] - moved)
            extremes[part] += (~(np.abs(changed) < reach[part, None])).sum(1)
            squares[part] += np.nansum(changed**2, axis=1)
            defined[part] += (~np.isnan(changed)).sum(1)
    return _permutation_p(observed, extremes, squares, defined, permutations)


def bootstrap_difference(
    first: np.ndarray, second: np.ndarray, value: Value, counts: np.ndarray, confidence: float = 0.95
) -> Estimate:
    """`bootstrap_differences` of one pair, features (n, k) each."""
    return bootstrap_differences(as_stack(first), second, value, counts, confidence)[0]


def bootstrap_differences(
    stack: np.ndarray, baseline: np.ndarray, value: Value, counts: np.ndarray, confidence: float = 0.95
) -> list[Estimate]:
    """The metric of each run minus that of the baseline, with the paired percentile interval.

    Both are measured on the same resamples (Efron and Tibshirani 1993, chapters 8 and 13). Resamples without a value
    are left out, and the method says so; more than half of them, or one row, gives no interval.

    Args:
        stack: (runs, n, k).
        baseline: (n, k), or one for each run (runs, n, k).
        counts: (resamples, n), as `example_counts` gives them.

    Raises:
        ValueError: shapes that do not fit, or a confidence outside (0, 1).
    """
    observed, drawn = resampled_differences(stack, baseline, value, counts)
    return percentile_estimates(observed, drawn, as_stack(stack).shape[1], confidence)


def resampled_differences(
    stack: np.ndarray, baseline: np.ndarray, value: Value, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The differences of `bootstrap_differences`: as observed (runs,), and on each resample (runs, resamples)."""
    stack, other = _pair(stack, baseline)
    observed = metric(value, stack.sum(1, dtype=np.float64)) - metric(value, other.sum(1, dtype=np.float64))
    return observed, resample.resampled(stack, value, counts) - resample.resampled(baseline, value, counts)


def percentile_estimates(observed: np.ndarray, drawn: np.ndarray, n: int, confidence: float = 0.95) -> list[Estimate]:
    """Differences on n rows with the percentile intervals of their resamples, as `resampled_differences` gives both."""
    found = []
    for here, values in zip(observed.tolist(), drawn, strict=True):
        low, high, used = resample.percentile_interval(values, confidence)
        method = "paired bootstrap percentile"
        if used < len(values):
            method = f"{method}, {used} of {len(values)} resamples"
        if n == 1 or math.isnan(here):
            low = high = math.nan
        found.append(Estimate(here, low, high, n, method, confidence))
    return found


def _pair(stack: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A stack and its baseline, both as (runs, n, k)."""
    stack, other = as_stack(stack), as_stack(baseline)
    if stack.shape[1:] != other.shape[1:] or len(other) not in (1, len(stack)):
        raise ValueError(f"the baseline needs the same rows and columns as the runs {stack.shape}, got {other.shape}")
    return stack, np.broadcast_to(other, stack.shape)


def _permutation_p(
    observed: np.ndarray, extremes: np.ndarray, squares: np.ndarray, defined: np.ndarray, permutations: int
) -> np.ndarray:
    from scipy.special import ndtr

    p = (1 + extremes) / (1 + permutations)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Swapping the other rows only turns the sign, so the permutations' mean is 0.
        tail = 2 * ndtr(-observed / np.sqrt(squares / defined))
    p = np.where((extremes < FEW) & (squares > 0), tail, p)
    return np.where(np.isnan(observed), math.nan, p)


def _check_rows(first: np.ndarray, second: np.ndarray) -> None:
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"both systems need the same shape (n,), got {first.shape} and {second.shape}")
    if not len(first):
        raise ValueError("a comparison needs at least one row, got none")
