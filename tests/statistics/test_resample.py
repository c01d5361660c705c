"""Resamples in sums form: against the same resamples row by row."""

from __future__ import annotations

import numpy as np
import pytest

from noria.statistics import resample
from noria.statistics.resample import chunks, coins, example_counts, percentile_interval, resampled


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def test_counts_are_draws_with_repetition_and_repeat_themselves() -> None:
    counts = example_counts(50, 400, seed=3)
    assert counts.dtype == np.float32 and counts.shape == (400, 50)
    assert (counts.sum(1) == 50).all()
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.05)  # binomial(n, 1/n)
    assert np.abs(counts.mean(0) - 1).max() < 0.25  # sd 0.05
    assert np.array_equal(counts, example_counts(50, 400, seed=3))
    assert np.array_equal(counts[:10], example_counts(50, 10, seed=3))
    assert not np.array_equal(counts, example_counts(50, 400, seed=4))


def test_resampled_is_the_metric_of_the_rows_drawn() -> None:
    rng = np.random.default_rng(1)
    features = np.stack([rng.normal(size=80), rng.integers(1, 9, size=80)], axis=1)
    counts = example_counts(80, 30, seed=0)
    found = resampled(features, ratio, counts)
    for row, value in zip(counts, found, strict=True):
        drawn = features[np.repeat(np.arange(80), row.astype(int))]
        assert value == pytest.approx(drawn[:, 0].sum() / drawn[:, 1].sum(), abs=1e-6)
    assert found.dtype == np.float64


def test_a_stack_is_its_runs_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.random.default_rng(2).normal(3.0, size=(7, 40, 2))
    counts = example_counts(40, 25, seed=0)
    whole = resampled(stack, ratio, counts)
    assert whole.shape == (7, 25)
    for run, found in zip(stack, whole, strict=True):
        assert resampled(run, ratio, counts) == pytest.approx(found, rel=1e-5)
    monkeypatch.setattr(resample, "ROOM", 3 * 2 * (40 + 4 * 25))
    assert [len(range(*part.indices(7))) for part in chunks(7, (40, 2), 25)] == [3, 3, 1]
    assert resampled(stack, ratio, counts) == pytest.approx(whole, rel=1e-5)


def test_truth_values_and_whole_numbers_are_features_too() -> None:
    right = np.random.default_rng(3).random(60) < 0.7
    counts = example_counts(60, 20, seed=0)
    for kind in (bool, np.uint8, np.int64, np.float64):
        found = resampled(right[:, None].astype(kind), lambda sums: sums[..., 0] / 60, counts)
        assert np.array_equal(found, (counts @ right).astype(float) / 60)


def test_undefined_values_are_nan_without_a_warning() -> None:
    with np.testing.suppress_warnings() as warnings:
        seen = warnings.record(RuntimeWarning)
        found = resampled(np.array([[1.0, 0.0], [1.0, 1.0]]) * [0, 1], ratio, np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert np.isnan(found[0]) and found[1] == 0.0
    assert not seen


def test_coins_are_fair_and_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(coins(37, 500, seed=0)))
    assert whole.shape == (500, 37) and set(np.unique(whole)) == {0.0, 1.0}
    assert whole.mean() == pytest.approx(0.5, abs=0.02)  # sd 0.004
    assert np.abs(np.corrcoef(whole.T) - np.eye(37)).max() < 0.2
    monkeypatch.setattr(resample, "ROOM", 37 * 64)
    blocks = list(coins(37, 500, seed=0))
    assert [len(block) for block in blocks] == [64] * 7 + [52]
    assert np.array_equal(np.concatenate(blocks), whole)


def test_percentiles_stand_where_so_many_resamples_hold_95_percent() -> None:
    low, high, used = percentile_interval(np.arange(1.0, 40.0), 0.95)  # 39 resamples: the first and the last
    assert (low, high, used) == pytest.approx((1.0, 39.0, 39))
    low, high, used = percentile_interval(np.array([1.0, 2.0, np.nan]), 0.5)
    assert used == 2 and low <= high
    low, high, used = percentile_interval(np.array([1.0, np.nan, np.nan]), 0.5)
    assert used == 1 and np.isnan(low) and np.isnan(high)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        example_counts(0, 10, 0)
    with pytest.raises(ValueError, match="at least one resample"):
        example_counts(10, 0, 0)
    with pytest.raises(ValueError, match="counts need shape"):
        resampled(np.ones((5, 2)), ratio, np.ones((3, 4)))
    with pytest.raises(ValueError, match="features need shape"):
        resampled(np.ones(5), ratio, np.ones((3, 5)))
    with pytest.raises(ValueError, match="at least one row"):
        resampled(np.ones((0, 2)), ratio, np.ones((3, 0)))
    with pytest.raises(ValueError, match="value must make"):
        resampled(np.ones((5, 2)), lambda sums: sums, np.ones((3, 5)))
    with pytest.raises(ValueError, match="confidence"):
        percentile_interval(np.ones(5), 95)
