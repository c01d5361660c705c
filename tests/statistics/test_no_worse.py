"""No worse by a margin: as SciPy and statsmodels have it, in step with the interval that is shown, and rarely wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from noria.statistics.no_worse import mean_no_worse, no_worse, proportions_no_worse, resampled_no_worse
from noria.statistics.paired import mean_difference, percentile_estimates, proportion_difference
from noria.statistics.resample import percentile_interval
from noria.statistics.seeds import SeedScores, seed_difference

ALPHAS = (0.2, 0.1, 0.05, 0.01, 0.001)


def test_of_a_mean_it_is_twice_the_one_sided_t_test_of_scipy_and_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for shift in (-0.3, -0.1, 0.0, 0.2):
        first, second = rng.normal(shift, 1.0, size=60), rng.normal(size=60)
        p = mean_no_worse(first, second, 0.25)
        scipy = stats.ttest_1samp(first - second, -0.25, alternative="greater").pvalue
        _, other, _ = DescrStatsW(first - second).ttest_mean(-0.25, alternative="larger")
        assert p == pytest.approx(min(1.0, 2 * scipy), rel=1e-9) and p == pytest.approx(min(1.0, 2 * other), rel=1e-9)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_it_lies_below_alpha_exactly_where_the_interval_of_1_less_alpha_lies_above_the_margin(alpha: float) -> None:
    rng = np.random.default_rng(1)
    said = []
    for _ in range(200):
        margin, n = rng.uniform(0, 0.1), int(rng.integers(20, 900))
        only = rng.multinomial(n, [0.08, 0.07, 0.85])[:2].tolist()
        said.append(proportions_no_worse(*only, n, margin) < alpha)
        assert said[-1] == (proportion_difference(*only, n, 1 - alpha).low > -margin)

        first, second = rng.normal(0, 0.2, n), rng.normal(0, 0.2, n)
        interval, _ = mean_difference(first, second, 1 - alpha)
        assert (mean_no_worse(first, second, margin) < alpha) == (interval.low > -margin)

        resampled = rng.normal(0, 0.02, (2, 3, 1)) + rng.normal(0, 0.01, (2, 3, 50))
        scores = [SeedScores(each.mean(1), each) for each in resampled]
        interval, _, parts = seed_difference(*scores, 1 - alpha)
        p = no_worse(interval.value, parts.standard_error, parts.df, margin)
        assert (p < alpha) == (interval.low > -margin)
    assert 10 < sum(said) < 190 or alpha == 0.001


@pytest.mark.parametrize("alpha", [0.2, 0.1, 0.05, 0.01])
def test_of_resamples_it_is_in_step_with_the_percentile_interval(alpha: float) -> None:
    rng = np.random.default_rng(2)
    said = []
    for _ in range(200):
        drawn = rng.normal(rng.normal(0, 0.03), 0.02, 999) + rng.exponential(0.01, 999)
        [interval] = percentile_estimates(np.array([drawn.mean()]), drawn[None], 500, 1 - alpha)
        said.append(resampled_no_worse(interval.value, drawn, 0.05) <= alpha)
        assert said[-1] == (interval.low > -0.05)
    assert 20 < sum(said) < 200


def test_resamples_that_never_reach_the_margin_are_told_apart_by_a_normal_tail() -> None:
    drawn = np.random.default_rng(3).normal(0, 0.01, 1000)
    ps = [resampled_no_worse(0.0, drawn, margin) for margin in (0.0, 0.01, 0.02, 0.04, 0.05, 0.08)]
    assert ps == sorted(ps, reverse=True) and len(set(ps)) == len(ps)
    assert ps[-1] == pytest.approx(2 * stats.norm.sf(8), rel=2) and ps[0] == pytest.approx(1.0, abs=0.1)
    assert resampled_no_worse(0.0, np.zeros(100), 0.01) == 0.0
    assert resampled_no_worse(0.0, np.zeros(100), 0.0) == 1.0


def test_resamples_without_a_value_are_left_out_and_too_many_of_them_say_nothing() -> None:
    drawn = np.random.default_rng(4).normal(0, 0.01, 1000)
    some = np.concatenate([drawn, np.full(300, math.nan)])
    assert resampled_no_worse(0.0, some, 0.015) == resampled_no_worse(0.0, drawn, 0.015)
    assert percentile_interval(some, 0.9)[:2] == percentile_interval(drawn, 0.9)[:2]
    assert math.isnan(resampled_no_worse(0.0, np.concatenate([some, np.full(800, math.nan)]), 0.015))
    assert math.isnan(resampled_no_worse(math.nan, drawn, 0.015))


def test_at_its_edges() -> None:
    assert no_worse(0.0, 0.0, 5, 0.01) == 0.0 and no_worse(0.0, 0.0, 5, 0.0) == 1.0
    assert no_worse(-0.01, 0.0, math.inf, 0.01) == 1.0
    assert math.isnan(no_worse(math.nan, 0.1, 5, 0.01)) and math.isnan(no_worse(0.1, math.nan, 5, 0.01))
    assert math.isnan(mean_no_worse(np.ones(1), np.zeros(1), 0.1))
    with pytest.raises(ValueError, match="margin"):
        no_worse(0.0, 0.1, 5, -0.01)
    with pytest.raises(ValueError, match="df positive"):
        no_worse(0.0, 0.1, 0, 0.01)


@pytest.mark.parametrize("alpha", [0.2, 0.05])
def test_what_is_worse_by_the_margin_is_called_no_worse_in_half_of_alpha(alpha: float) -> None:
    rng = np.random.default_rng(5)
    called = 0
    for only in rng.multinomial(900, [0.06, 0.09, 0.85], size=2000)[:, :2].tolist():  # worse by 0.03
        called += proportions_no_worse(*only, 900, 0.03) < alpha
    assert abs(called / 2000 - alpha / 2) < 4 * math.sqrt(alpha / 2 / 2000)
