"""Seeds and rows both random: the variances found in simulated scores, and how often the intervals hold the truth."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats

from noria.statistics.resample import example_counts, resampled
from noria.statistics.seeds import TRUSTED_SEEDS, SeedScores, seed_difference, seed_mean


def drawn(
    rng: np.random.Generator, seeds: int, mean: float, seed: float, rows: float, noise: float, shared: np.ndarray
) -> SeedScores:
    """Scores with these sds; `shared` (B + 1,) is what all systems have of the rows: as they are, then resampled."""
    resamples = len(shared) - 1
    effects = shared + rows * rng.standard_normal(resamples + 1)
    metric = mean + seed * rng.standard_normal((seeds, 1)) + effects[:1]
    own = noise * rng.standard_normal((seeds, resamples + 1))
    return SeedScores(metric[:, 0] + own[:, 0], metric + effects[1:] + own[:, 1:])


def fixed(values: list[float], resamples: int = 50) -> SeedScores:
    """Seeds whose rows all say the same: no example variance."""
    return SeedScores(np.array(values), np.repeat(np.array(values)[:, None], resamples, axis=1))


def test_without_an_example_variance_it_is_the_welch_test_over_seeds() -> None:
    first, second = [0.84, 0.86, 0.85, 0.88, 0.83], [0.82, 0.83, 0.825, 0.815]
    found, p, parts = seed_difference(fixed(first), fixed(second), 0.9)
    peer = stats.ttest_ind(first, second, equal_var=False)
    interval = peer.confidence_interval(0.9)
    assert p == pytest.approx(peer.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.n, found.method, found.confidence) == (9, "crossed random effects", 0.9)
    assert parts.df == pytest.approx(peer.df)
    assert (parts.seed_variance_first, parts.seed_variance_second) == pytest.approx(
        (np.var(first, ddof=1), 4.1667e-5), rel=1e-4
    )
    mean, one = seed_mean(fixed(first)), stats.ttest_1samp(first, 0).confidence_interval()
    assert (mean.low, mean.high, mean.n) == pytest.approx((one.low, one.high, 5))


def test_without_a_seed_variance_it_is_the_interval_over_examples() -> None:
    rows = np.random.default_rng(0).normal(0, 0.01, size=4000)
    same = SeedScores(np.full(5, 0.8), np.tile(0.8 + rows, (5, 1)))
    other = SeedScores(np.full(5, 0.79), np.full((5, 4000), 0.79))
    found, p, parts = seed_difference(same, other)
    assert found.high - found.low == pytest.approx(2 * 1.959964 * rows.std(ddof=1), rel=1e-3)
    assert p == pytest.approx(2 * stats.t.sf(0.01 / rows.std(ddof=1), 3999))
    assert parts.df == pytest.approx(3999) and parts.example_variance == pytest.approx(rows.var(ddof=1))


def test_what_is_hard_for_both_cancels_in_the_difference() -> None:
    rng = np.random.default_rng(1)
    shared = 0.05 * rng.standard_normal(501)
    first, second = (drawn(rng, 5, 0.8, 0.001, 0.001, 0.001, shared) for _ in range(2))
    found, _, parts = seed_difference(first, second)
    assert found.high - found.low < 0.01 < seed_mean(first).high - seed_mean(first).low
    assert parts.example_variance < 1e-5


def test_the_components_are_those_that_were_put_in() -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        shared = 0.01 * rng.standard_normal(201)
        first, second = drawn(rng, 6, 0.8, 0.008, 0.004, 0.005, shared), drawn(rng, 6, 0.8, 0.004, 0.004, 0.002, shared)
        found.append(astuple(seed_difference(first, second)[2]))
    first, second, one, other, examples, _, _ = np.mean(found, axis=0)
    assert one == pytest.approx(0.005**2, rel=0.05) and other == pytest.approx(0.002**2, rel=0.05)
    assert first == pytest.approx(0.008**2 + 0.005**2, rel=0.1)
    assert second == pytest.approx(0.004**2 + 0.002**2, rel=0.1)
    assert examples == pytest.approx(2 * 0.004**2, rel=0.1)


def test_the_variance_is_the_sum_of_its_parts_and_never_below_either() -> None:
    rng = np.random.default_rng(3)
    for seed in (0.0, 0.002, 0.02):
        for first_seeds, second_seeds in ((2, 2), (3, 7)):
            shared = 0.01 * rng.standard_normal(301)
            first = drawn(rng, first_seeds, 0.8, seed, 0.0, 0.006, shared)
            second = drawn(rng, second_seeds, 0.8, seed, 0.0, 0.006, shared)
            _, _, parts = seed_difference(first, second)
            of_seeds = parts.seed_variance_first / first_seeds + parts.seed_variance_second / second_seeds
            assert parts.standard_error**2 == pytest.approx(of_seeds + parts.example_variance)
            plain = first.values.var(ddof=1) / first_seeds + second.values.var(ddof=1) / second_seeds
            examples = (first.resampled.mean(0) - second.resampled.mean(0)).var(ddof=1)
            assert parts.standard_error**2 >= max(plain, examples) * (1 - 1e-9)


def test_swapping_the_systems_negates_the_difference() -> None:
    rng = np.random.default_rng(4)
    first, second = (drawn(rng, seeds, 0.8, 0.01, 0.01, 0.01, np.zeros(101)) for seeds in (4, 6))
    one, p, parts = seed_difference(first, second)
    other, again, swapped = seed_difference(second, first)
    assert (one.value, one.low, one.high, p) == pytest.approx((-other.value, -other.high, -other.low, again))
    assert parts.seed_variance_first == swapped.seed_variance_second
    assert one.value == pytest.approx(first.values.mean() - second.values.mean())


def test_one_seed_shows_no_seed_variance_and_says_so() -> None:
    rng = np.random.default_rng(5)
    one, five = drawn(rng, 1, 0.8, 0.01, 0.01, 0.01, np.zeros(401)), drawn(rng, 5, 0.8, 0.01, 0.01, 0.01, np.zeros(401))
    both, p, parts = seed_difference(one, one)
    assert (both.value, p, both.method, parts.df) == (0.0, 1.0, "examples only, one seed", math.inf)
    alone = seed_mean(one)
    assert alone.method == "examples only, one seed"
    assert alone.high - alone.low == pytest.approx(2 * 1.959964 * one.resampled.std(ddof=1), rel=5e-3)
    found, _, parts = seed_difference(one, five)
    assert found.method == "crossed random effects, seeds of the second only"
    assert math.isnan(parts.seed_variance_first) and parts.seed_variance_second > 0
    assert parts.standard_error**2 == pytest.approx(parts.seed_variance_second / 5 + parts.example_variance)
    assert seed_difference(five, one)[0].method == "crossed random effects, seeds of the first only"


def test_undefined_scores() -> None:
    first, second = fixed([0.8, 0.82, 0.81], 10), fixed([0.7, 0.72, 0.71], 10)
    expected, p, _ = seed_difference(first, second)
    first.resampled[1, :4] = math.nan
    found, again, _ = seed_difference(first, second)
    assert (found.low, found.high, again) == pytest.approx((expected.low, expected.high, p))
    assert found.method == "crossed random effects, 6 of 10 resamples"
    second.resampled[0, 4] = math.nan
    assert seed_difference(first, second)[0].method.endswith("5 of 10 resamples")
    assert not math.isnan(seed_difference(first, second)[1]), "half of them are enough"
    second.resampled[0, 5] = math.nan
    found, p, parts = seed_difference(first, second)
    assert found.value == expected.value
    assert np.isnan([found.low, found.high, p, *astuple(parts)]).all()
    first.values[0] = math.nan
    assert math.isnan(seed_mean(first).value) and math.isnan(seed_mean(first).low)


def test_equal_scores_are_no_difference_and_a_sure_one_is_sure() -> None:
    same = fixed([0.8, 0.8])
    assert seed_difference(same, same)[1] == 1.0
    assert seed_difference(same, fixed([0.7, 0.7]))[1] < 1e-12


@pytest.mark.parametrize(("seed", "rows", "noise"), [(0.01, 0.0, 0.0), (0.007, 0.005, 0.003), (0.002, 0.01, 0.003)])
def test_intervals_hold_the_truth_as_often_as_they_say(seed: float, rows: float, noise: float) -> None:
    rng = np.random.default_rng(6)
    hits, mean_hits, wrong = 0, 0, 0
    for _ in range(1000):
        shared = 0.005 * rng.standard_normal(101)
        first = drawn(rng, TRUSTED_SEEDS, 0.82, seed, rows, noise, shared)
        second = drawn(rng, TRUSTED_SEEDS, 0.80, seed / 2, rows, noise, shared)
        found, _, _ = seed_difference(first, second)
        hits += found.low <= 0.02 <= found.high
        mean = seed_mean(first)
        mean_hits += mean.low <= 0.82 <= mean.high
        wrong += seed_difference(first, SeedScores(second.values + 0.02, second.resampled + 0.02))[1] < 0.05
    # 950 expected, sd 7
    assert hits >= 933 and mean_hits >= 933
    assert wrong == 1000 - hits


def test_rows_resampled_in_earnest() -> None:
    rng = np.random.default_rng(7)
    counts = example_counts(400, 300, 0)
    hard = rng.normal(size=400)
    scores = []
    for shift in (1.2, 1.0):
        right = hard + 0.5 * rng.normal(size=(5, 400)) + 0.05 * rng.normal(size=(5, 1)) < shift
        scores.append(SeedScores(right.mean(1), resampled(right[..., None], lambda sums: sums[..., 0] / 400, counts)))
    found, p, parts = seed_difference(*scores)
    assert found.low < found.value < found.high
    assert (p < 0.05) is not (found.low <= 0 <= found.high)
    assert parts.interaction_first > 0
    assert parts.example_variance < scores[0].resampled.mean(0).var(), "the rows are the same"


def test_impossible_input_is_refused() -> None:
    for values, resamples in (((3,), (2, 9)), ((3, 1), (3, 9)), ((3,), (3,)), ((0,), (0, 9))):
        with pytest.raises(ValueError, match="scores need"):
            SeedScores(np.ones(values), np.ones(resamples))
    with pytest.raises(ValueError, match="two resamples"):
        SeedScores(np.ones(3), np.ones((3, 1)))
    with pytest.raises(ValueError, match="same resamples"):
        seed_difference(fixed([0.8, 0.9], 10), fixed([0.8, 0.9], 11))
    with pytest.raises(ValueError, match="confidence"):
        seed_mean(fixed([0.8, 0.9]), 95)
