"""Whether one system is no worse than another by a margin (non-inferiority), as p-values: first minus second.

More is taken to be better. Each p is that of the one-sided test of "the true difference is -margin or less", doubled:
so it is held against the same two-sided level alpha as the p of a difference, and lies below it exactly where the
two-sided interval of 1 - alpha, by which the difference is shown, lies above -margin. The one-sided test is then made
at alpha / 2, half the two-sided level, as ICH E9 (1998, sections 3.3.2 and 5.5) asks for. One such interval serves
"better" and "no worse" alike, without a correction for asking both (CPMP 2000, Points to consider on switching between
superiority and non-inferiority; Morikawa and Yoshida 1995). Several comparisons are corrected by `multiple.adjusted`,
as differences are.
"""

from __future__ import annotations

import math

import numpy as np

from noria.statistics.paired import adjusted_wald


def no_worse(center: float, standard_error: float, df: float, margin: float) -> float:
    """The p where the interval is center -+ t(df) * standard_error; `df` infinite: the normal's.

    NaN where the center or the standard error is NaN.

    Raises:
        ValueError: a negative margin or standard error, or `df` not positive.
    """
    # Kept out of the module's import: scipy.special takes a while to load.
    from scipy.special import ndtr, stdtr

    _check(margin)
    if standard_error < 0 or df <= 0:
        raise ValueError(f"a standard error must be at least 0 and df positive, got {standard_error} and {df}")
    above = center + margin
    if math.isnan(above) or math.isnan(standard_error):
        return math.nan
    if standard_error == 0:
        return 0.0 if above > 0 else 1.0
    t = above / standard_error
    return float(min(1.0, 2 * (ndtr(-t) if math.isinf(df) else stdtr(df, -t))))


def proportions_no_worse(only_first: int, only_second: int, n: int, margin: float) -> float:
    """The p of two proportions of the same `n` rows, by the interval of `proportion_difference`."""
    return no_worse(*adjusted_wald(only_first, only_second, n), math.inf, margin)


def mean_no_worse(first: np.ndarray, second: np.ndarray, margin: float) -> float:
    """The p of the mean of the rows' differences, (n,) each, by the paired t interval; NaN for one row."""
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if len(differences) < 2:
        return math.nan
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return no_worse(float(differences.mean()), error, len(differences) - 1, margin)


def resampled_no_worse(value: float, drawn: np.ndarray, margin: float) -> float:
    """The p of a difference `value` with resamples `drawn` (B,), by the percentile interval.

    The one-sided p is (1 + how many of the B lie at or below -margin) / (1 + B), at which the interval's lower end
    stands there (`resample.percentile_interval`). Where none does, a count cannot tell 1e-3 from 1e-9, which a
    correction for many comparisons must: then it is the tail of a normal with the resamples' standard deviation, if
    that is smaller. Resamples without a value are left out; more than half of them: NaN.

    Raises:
        ValueError: a negative margin.
    """
    from scipy.special import ndtr

    _check(margin)
    kept = drawn[~np.isnan(drawn)]
    if math.isnan(value) or 2 * len(kept) < len(drawn) or len(kept) < 2:
        return math.nan
    reached = int((kept <= -margin).sum())
    tail = (1 + reached) / (1 + len(kept))
    if not reached:
        spread = float(kept.std(ddof=1))
        tail = min(tail, float(ndtr(-(value + margin) / spread)) if spread > 0 else 0.0)
    return min(1.0, 2 * tail)


def _check(margin: float) -> None:
    if not margin >= 0:
        raise ValueError(f"a margin must be at least 0, got {margin}")
