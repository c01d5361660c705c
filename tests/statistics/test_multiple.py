"""Corrections for many comparisons: by hand, against statsmodels, and with NaN."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from noria.statistics.multiple import Method, adjusted

P = np.array([0.01, 0.04, 0.03, 0.005])


def test_by_hand() -> None:
    assert adjusted(P, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(P, "fdr_bh") == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert np.array_equal(adjusted(P, "none"), P)


@pytest.mark.parametrize("method", ["holm", "fdr_bh"])
def test_as_statsmodels_and_nan_does_not_count(method: Method) -> None:
    p = np.random.default_rng(0).random(40) ** 3
    expected = multipletests(p, method=method)[1]
    assert adjusted(p, method) == pytest.approx(expected)
    found = adjusted(np.insert(p, [0, 17, 40], math.nan), method)
    assert np.isnan(found[[0, 18, 42]]).all()
    assert found[~np.isnan(found)] == pytest.approx(expected)


def test_the_input_stays_as_it_is_and_nothing_to_correct_is_no_error() -> None:
    before = P.copy()
    adjusted(P, "holm")[0] = 1.0
    adjusted(P, "none")[0] = 1.0
    assert np.array_equal(P, before)
    assert adjusted(np.array([]), "holm").shape == (0,)
    assert np.isnan(adjusted(np.array([math.nan]), "fdr_bh")).all()


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="holm, fdr_bh, none"):
        adjusted(P, "bonferoni")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted(np.array([0.5, 1.2]), "holm")
    with pytest.raises(ValueError, match="shape"):
        adjusted(np.ones((2, 2)), "holm")


def test_the_comparison_s_statistics_load_nothing_heavy() -> None:
    names = ", ".join(f"noria.statistics.{name}" for name in ("paired", "resample", "seeds", "multiple", "power"))
    code = f"import sys, {names}; print([m for m in ('torch', 'scipy.stats', 'statsmodels') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
