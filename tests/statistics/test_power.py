"""Power: against statsmodels' own, and against simulated tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower

from noria.statistics.power import seeds_needed, smallest_difference


def test_normal_by_hand_and_as_statsmodels() -> None:
    assert smallest_difference(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert smallest_difference(0.01, alpha=0.01, power=0.9) == pytest.approx(0.01 * (2.575829 + 1.281552), abs=1e-7)
    found = smallest_difference(1.0, power=0.7)
    assert NormalIndPower(ddof=0).power(found, 1, 0.05, ratio=0) == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("df", [1, 2, 4, 8, 30])
def test_student_as_statsmodels(df: int, power: float) -> None:
    effect = smallest_difference(1 / math.sqrt(df + 1), df, power=power)
    assert TTestPower().power(effect, df + 1, 0.05, df=df) == pytest.approx(power, abs=2e-3)


def test_fewer_degrees_of_freedom_and_more_power_take_a_larger_difference() -> None:
    by_df = [smallest_difference(1.0, df) for df in (2, 5, 20, 1e5, 1e7, math.inf)]
    assert by_df == sorted(by_df, reverse=True)
    assert by_df[3] == pytest.approx(by_df[5], abs=1e-4)
    assert smallest_difference(1.0, 8, power=0.9) > smallest_difference(1.0, 8)
    assert smallest_difference(0.0, 8) == 0.0


def test_seeds_needed_as_statsmodels_where_examples_add_nothing() -> None:
    for effect in (0.5, 1.0, 1.5):
        found = seeds_needed(effect * 0.01, 1e-4, 1e-4, 0.0)
        assert found == math.ceil(TTestIndPower().solve_power(effect, alpha=0.05, power=0.8))


def test_with_so_many_seeds_a_simulated_test_has_that_power() -> None:
    seeds = seeds_needed(0.01, 1.2e-4, 0.4e-4, 0.3e-5)
    assert seeds is not None
    rng = np.random.default_rng(0)
    for count, enough in ((seeds, True), (seeds - 4, False)):
        first, second = (rng.normal(0, math.sqrt(v), size=(4000, count)) for v in (1.2e-4, 0.4e-4))
        parts = np.stack([first.var(1, ddof=1), second.var(1, ddof=1)]) / count
        error = np.sqrt(parts.sum(0) + 0.3e-5)
        df = error**4 / ((parts**2).sum(0) / (count - 1))
        difference = 0.01 + first.mean(1) - second.mean(1) + rng.normal(0, math.sqrt(0.3e-5), size=4000)
        share = (2 * stats.t.sf(np.abs(difference) / error, df) < 0.05).mean()
        assert bool(share > 0.78) is enough


def test_seeds_do_not_help_against_few_examples() -> None:
    assert seeds_needed(0.01, 1e-4, 1e-4, 1e-4) is None
    assert seeds_needed(0.01, 1e-4, 1e-4, 1e-6, most=5) is None
    assert seeds_needed(-0.1, 1e-4, 1e-4, 1e-6) == seeds_needed(0.1, 1e-4, 1e-4, 1e-6) == 2
    assert seeds_needed(0.1, 0.0, 0.0, 0.0) == 2
    assert seeds_needed(0.0, 0.0, 0.0, 0.0) is None
    assert seeds_needed(0.1, math.nan, 1e-4, 0.0) is None
    assert seeds_needed(math.nan, 1e-4, 1e-4, 0.0) is None


def test_impossible_input_is_refused() -> None:
    for words in ({"alpha": 0.0}, {"power": 1.0}):
        with pytest.raises(ValueError, match="between 0 and 1"):
            smallest_difference(1.0, **words)
    with pytest.raises(ValueError, match="standard error"):
        smallest_difference(-1.0)
    with pytest.raises(ValueError, match="df"):
        smallest_difference(1.0, 0)
    with pytest.raises(ValueError, match="variances"):
        seeds_needed(0.1, -1.0, 1.0, 1.0)
