"""Two systems on the same rows: against statsmodels, SciPy and published figures, and how often each is wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from noria.statistics import paired, resample
from noria.statistics.paired import (
    bootstrap_difference,
    bootstrap_differences,
    mcnemar,
    mcnemar_many,
    mean_difference,
    permutation,
    permutation_many,
    proportion_difference,
)
from noria.statistics.resample import coins, example_counts


def share(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def with_ones(values: np.ndarray) -> np.ndarray:
    """Values (..., n) as features (..., n, 2) of a mean."""
    return np.stack([values, np.ones_like(values)], axis=-1)


def two_rights(seed: int, n: int = 500, better: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=n)
    return hard + rng.normal(size=n) < 1 + 3 * better, hard + rng.normal(size=n) < 1


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (6, 0), (5, 5), (3, 9), (40, 61), (900, 1100)])
def test_mcnemar_as_statsmodels_and_scipy(counts: tuple[int, int]) -> None:
    first, second = counts
    found = mcnemar_many(np.array([first, second]), np.array([second, first]))
    assert found[0] == found[1]
    assert found[0] == pytest.approx(statsmodels_mcnemar([[50, first], [second, 7]], exact=True).pvalue, rel=1e-9)
    if first + second:
        assert found[0] == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-9)


def test_mcnemar_counts_the_rows_that_only_one_has_right() -> None:
    first = np.array([True] * 9 + [False] * 3 + [True] * 80)
    second = np.array([False] * 9 + [True] * 3 + [True] * 80)
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(stats.binomtest(3, 12).pvalue)
    assert mcnemar(first, first) == 1.0


def test_bonett_and_price_as_published() -> None:
    # statpsych (Bonett), ci.prop.ps(.05, f00=12, f01=4, f10=26, f11=6): -0.44 adjusted, [0.2548067, 0.6251933]
    found = proportion_difference(26, 4, 48)
    assert found.value == 22 / 48
    assert (found.low, found.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)
    assert (found.n, found.method, found.confidence) == (48, "bonett-price", 0.95)


def test_proportions_swapped_negate_the_difference_and_ends_stay_possible() -> None:
    one, other = proportion_difference(30, 12, 200, 0.9), proportion_difference(12, 30, 200, 0.9)
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    assert one.high - one.low < (wide := proportion_difference(30, 12, 200, 0.99)).high - wide.low
    assert proportion_difference(3, 0, 3).high == 1.0
    assert proportion_difference(0, 0, 10).low < 0 < proportion_difference(0, 0, 10).high


def test_mean_difference_as_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.1, 1.0, size=60), rng.normal(size=60)
    found, p = mean_difference(first, second, 0.9)
    peer = stats.ttest_rel(first, second)
    interval = peer.confidence_interval(0.9)
    assert p == pytest.approx(peer.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert (found.n, found.method) == (60, "paired t")
    swapped, again = mean_difference(second, first, 0.9)
    assert (swapped.value, swapped.low, again) == pytest.approx((-found.value, -found.high, p))


def test_mean_difference_at_its_edges() -> None:
    assert mean_difference(np.ones(5), np.ones(5))[1] == 1.0
    assert mean_difference(np.ones(5), np.zeros(5))[1] == 0.0
    one, p = mean_difference(np.array([2.0]), np.array([1.0]))
    assert one.value == 1.0 and math.isnan(one.low) and math.isnan(p)
    undefined, p = mean_difference(np.array([1.0, math.nan]), np.zeros(2))
    assert math.isnan(undefined.value) and math.isnan(p)


@pytest.mark.parametrize("seed", range(4))
def test_permutation_agrees_with_mcnemar_on_accuracy(seed: int) -> None:
    first, second = two_rights(seed)
    exact = mcnemar(first, second)
    found = permutation(with_ones(first), with_ones(second), share, permutations=4000)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 4000) + 1e-3)
    assert found == permutation(with_ones(first), with_ones(second), share, permutations=4000)
    assert found == permutation(with_ones(second), with_ones(first), share, permutations=4000)


def test_permutation_agrees_with_the_t_test_on_a_mean_far_into_the_tail() -> None:
    rng = np.random.default_rng(1)
    second = rng.exponential(size=2000)
    for shift, rel in ((0.02, 0.1), (0.05, 0.35), (0.15, 0.5)):
        first = second + shift + rng.normal(0, 0.6, size=2000)
        p = stats.ttest_rel(first, second).pvalue
        found = permutation(with_ones(first), with_ones(second), share)
        # in the far tail: the logarithms
        assert math.log(found) == pytest.approx(math.log(p), rel=rel)
    assert 0 < found < 1e-12, "a count of 2,000 could not say that"


def test_permutation_of_few_rows_is_near_the_exact_one() -> None:
    first, second = np.zeros(8), np.array([1.0, 2.0, 3.0, 0.5, 1.5, -0.2, 0.3, 1.0])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    exact = (np.abs(second @ signs) >= abs(second.sum()) - 1e-9).mean()
    assert permutation(with_ones(first), with_ones(second), share, permutations=5000) == pytest.approx(exact, abs=0.006)


def test_permutation_counts_itself_among_the_extremes() -> None:
    first, second = two_rights(2)
    swaps = np.concatenate(list(coins(500, 60, seed=0)))
    changed = (1 - 2 * swaps) @ (first.astype(float) - second)
    extremes = (np.abs(changed) >= abs(first.sum() - second.sum())).sum()
    assert 10 <= extremes < 60
    assert permutation(with_ones(first), with_ones(second), share, permutations=60) == (1 + extremes) / 61


def test_alike_systems_have_p_1_and_undefined_metrics_none() -> None:
    first, second = two_rights(5)
    assert permutation(with_ones(first), with_ones(first), share) == 1.0
    one_row = np.zeros(500)
    one_row[3] = 0.7  # rounds down in float32; every permutation is as extreme, but for rounding
    assert permutation(with_ones(one_row), with_ones(np.zeros(500)), share) == 1.0
    broken = with_ones(second.astype(float))
    broken[7, 0] = math.nan
    found = permutation_many(np.stack([with_ones(second), broken, with_ones(first)]), with_ones(second), share)
    assert found[0] == 1.0 and math.isnan(found[1]) and 0 < found[2] < 1


def test_many_runs_are_each_its_own_pair_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = np.stack([with_ones(two_rights(seed)[0]) for seed in range(5)])
    baseline = with_ones(two_rights(9)[1])
    counts = example_counts(500, 200, 0)
    p = permutation_many(runs, baseline, share, permutations=300)
    intervals = bootstrap_differences(runs, baseline, share, counts)
    monkeypatch.setattr(resample, "ROOM", 500 * 70)
    assert permutation_many(runs, baseline, share, permutations=300) == pytest.approx(p, rel=1e-9)
    assert bootstrap_differences(runs, baseline, share, counts) == intervals
    for at, run in enumerate(runs):
        assert permutation(run, baseline, share, permutations=300) == pytest.approx(p[at], rel=1e-9)
        assert bootstrap_difference(run, baseline, share, counts) == intervals[at]
    own = permutation_many(runs, runs[::-1], share, permutations=300)
    assert own[2] == 1.0 and own[0] == own[4] == pytest.approx(permutation(runs[0], runs[4], share, permutations=300))


def test_truth_values_are_features_as_numbers_are() -> None:
    first, second = two_rights(3)
    for kind in (bool, np.uint8):
        one, other = with_ones(first).astype(kind), with_ones(second).astype(kind)
        assert permutation(one, other, share) == permutation(one * 1.0, other * 1.0, share)


def test_bootstrap_interval_is_near_the_t_interval_of_a_mean() -> None:
    rng = np.random.default_rng(2)
    second = rng.exponential(size=2000)
    first = second + 0.1 + rng.normal(0, 0.5, size=2000)
    exact, _ = mean_difference(first, second)
    found = bootstrap_difference(with_ones(first), with_ones(second), share, example_counts(2000, 2000, 0))
    width = exact.high - exact.low
    assert found.value == pytest.approx(exact.value)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.05 * width)
    assert (found.n, found.method) == (2000, "paired bootstrap percentile")
    swapped = bootstrap_difference(with_ones(second), with_ones(first), share, example_counts(2000, 2000, 0))
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_bootstrap_leaves_out_resamples_without_a_value() -> None:
    first = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    counts = np.array([[0, 1, 2], [1, 1, 1], [2, 1, 0], [3, 0, 0]], dtype=np.float32)
    found = bootstrap_difference(first, first, share, counts)
    assert (found.low, found.high, found.method) == (0.0, 0.0, "paired bootstrap percentile, 3 of 4 resamples")
    assert math.isnan(bootstrap_difference(first, first, share, counts[[0, 0, 0, 1]]).low)
    assert math.isnan(bootstrap_difference(first[:1], first[:1], share, np.ones((4, 1))).low)
    assert math.isnan(bootstrap_difference(first[1:], first[1:], share, np.ones((4, 2))).value)


def test_tests_are_wrong_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(size=(1000, 300))
    first, second = (hard + rng.normal(size=hard.shape) < 1 for _ in range(2))
    exact = mcnemar_many((first & ~second).sum(1), (second & ~first).sum(1))
    swapped = permutation_many(with_ones(first), with_ones(second), share, permutations=400)
    # 50 expected at most, sd 7
    assert 15 <= (exact < 0.05).sum() <= 67
    assert 15 <= (swapped < 0.05).sum() <= 67
    intervals = bootstrap_differences(with_ones(first), with_ones(second), share, example_counts(300, 200, 0))
    assert 927 <= sum(each.low <= 0 <= each.high for each in intervals) <= 985


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        mcnemar(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="at least one row"):
        mcnemar(np.ones(0), np.ones(0))
    with pytest.raises(ValueError, match="same shape"):
        mcnemar_many(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="at least 0"):
        mcnemar_many(np.array([-1]), np.array([1]))
    with pytest.raises(ValueError, match="at most n=5"):
        proportion_difference(3, 3, 5)
    with pytest.raises(ValueError, match="n=0"):
        proportion_difference(0, 0, 0)
    with pytest.raises(ValueError, match="confidence"):
        proportion_difference(1, 1, 5, 95)
    with pytest.raises(ValueError, match="same shape"):
        mean_difference(np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="same rows and columns"):
        permutation(np.ones((4, 2)), np.ones((5, 2)), share)
    with pytest.raises(ValueError, match="same rows and columns"):
        paired.bootstrap_differences(np.ones((3, 4, 2)), np.ones((2, 4, 2)), share, np.ones((5, 4)))
    with pytest.raises(ValueError, match="at least one permutation"):
        permutation(np.ones((4, 2)), np.ones((4, 2)), share, permutations=0)
