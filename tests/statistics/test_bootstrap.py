"""Bootstrap and mean intervals: against formulas, and what they do at their edges."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from noria.statistics.bootstrap import bootstrap, mean_interval, ratio_interval


def test_bootstrap_of_a_mean_agrees_with_theory() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    estimate = bootstrap(lambda rows: float(values[rows].mean()), 400, resamples=2000)
    error = values.std() / math.sqrt(400)
    assert estimate.value == values.mean()
    assert estimate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert estimate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    assert (estimate.n, estimate.method, estimate.confidence) == (400, "bootstrap percentile", 0.95)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        values = rng.normal(0.0, 1.0, size=60)
        estimate = bootstrap(
            lambda rows, v=values: float(v[rows].mean()), 60, resamples=200, seed=trial, confidence=0.9
        )
        hits += estimate.low <= 0.0 <= estimate.high
    assert 160 <= hits <= 196  # 180 expected, standard deviation 4


def test_bootstrap_draws_rows_with_repetition_and_repeats_itself() -> None:
    seen: list[np.ndarray] = []

    def statistic(rows: np.ndarray) -> float:
        seen.append(rows)
        return float(rows.mean())

    first = bootstrap(statistic, 20, resamples=50, seed=3)
    assert np.array_equal(seen[0], np.arange(20))
    assert len(seen) == 51
    assert all(rows.shape == (20,) and rows.min() >= 0 and rows.max() < 20 for rows in seen)
    assert any(len(set(rows.tolist())) < 20 for rows in seen[1:])
    assert bootstrap(statistic, 20, resamples=50, seed=3) == first
    assert bootstrap(statistic, 20, resamples=50, seed=4) != first


def test_nan_resamples_are_left_out_and_counted() -> None:
    calls = iter(range(1000))

    def statistic(rows: np.ndarray) -> float:
        return math.nan if next(calls) in range(1, 31) else 1.0

    estimate = bootstrap(statistic, 10, resamples=100)
    assert (estimate.low, estimate.high) == (1.0, 1.0)
    assert estimate.method == "bootstrap percentile, 70 of 100 resamples"


@pytest.mark.parametrize(("undefined", "interval"), [(50, True), (51, False)])
def test_more_than_half_nan_gives_no_interval(undefined: int, interval: bool) -> None:
    calls = iter(range(1000))

    def statistic(rows: np.ndarray) -> float:
        return math.nan if 1 <= next(calls) <= undefined else 1.0

    estimate = bootstrap(statistic, 10, resamples=100)
    assert estimate.value == 1.0
    assert math.isnan(estimate.low) is not interval
    assert math.isnan(estimate.high) is not interval


def test_one_row_has_no_interval() -> None:
    estimate = bootstrap(lambda rows: 0.5, 1)
    assert estimate.value == 0.5
    assert math.isnan(estimate.low)
    assert math.isnan(estimate.high)


def test_bootstrap_refuses_the_impossible() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(lambda rows: 0.0, 0)
    with pytest.raises(ValueError, match="at least one resample"):
        bootstrap(lambda rows: 0.0, 5, resamples=0)
    with pytest.raises(ValueError, match="confidence"):
        bootstrap(lambda rows: 0.0, 5, confidence=95)


def test_mean_interval_by_hand() -> None:
    # mean 3, s = sqrt(2.5), t(4, 97.5 %) = 2.776445
    estimate = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert estimate.value == 3.0
    assert (estimate.low, estimate.high) == pytest.approx((3 - half, 3 + half), abs=1e-6)
    assert (estimate.n, estimate.method) == (5, "student t")


def test_mean_interval_at_its_edges() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval(np.array([]))
    with pytest.raises(ValueError, match="shape"):
        mean_interval(np.ones((2, 2)))
    one = mean_interval(np.array([2.0]))
    assert one.value == 2.0
    assert math.isnan(one.low)
    assert math.isnan(mean_interval(np.array([1.0, math.nan])).value)
    same = mean_interval(np.array([2.0, 2.0]))
    assert (same.low, same.high) == (2.0, 2.0)


def test_ratio_is_of_the_sums_and_its_interval_agrees_with_theory() -> None:
    rng = np.random.default_rng(5)
    weights = rng.integers(1, 50, size=500).astype(np.float64)
    means = rng.normal(2.0, 0.5, size=500)
    estimate = ratio_interval(means * weights, weights, resamples=2000)
    assert estimate.value == pytest.approx(np.average(means, weights=weights))
    assert estimate.value != pytest.approx(means.mean(), abs=1e-4)
    # the delta method: the ratio's error is that of the residuals (Cochran 1977, section 2.11)
    residuals = (means - estimate.value) * weights
    error = residuals.std(ddof=1) / weights.mean() / math.sqrt(500)
    assert estimate.low == pytest.approx(estimate.value - 1.96 * error, abs=0.15 * error)
    assert estimate.high == pytest.approx(estimate.value + 1.96 * error, abs=0.15 * error)
    assert (estimate.n, estimate.method) == (500, "bootstrap percentile")


def test_ratio_at_its_edges() -> None:
    assert math.isnan(ratio_interval(np.zeros(3), np.zeros(3)).value)
    one = ratio_interval(np.array([3.0]), np.array([2.0]))
    assert one.value == 1.5 and math.isnan(one.low)
    some = ratio_interval(np.array([4.0, 0.0]), np.array([2.0, 0.0]))
    assert (some.value, some.low, some.high) == (2.0, 2.0, 2.0)
    assert "resamples" in some.method, "those with nothing to divide by are left out, and counted"
    with pytest.raises(ValueError, match="shape"):
        ratio_interval(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="at least 0"):
        ratio_interval(np.ones(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="at least one row"):
        ratio_interval(np.array([]), np.array([]))


def test_statistics_load_neither_torch_nor_scipy_stats() -> None:
    code = (
        "import sys, noria.statistics.bootstrap, noria.statistics.proportion, noria.statistics.estimate;"
        "print([m for m in ('torch', 'scipy.stats') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
