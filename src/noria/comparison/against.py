"""One config against the baseline: the difference with its interval, the test, and what else a verdict rests on.

Knows neither how many comparisons are made nor what the verdict will be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noria.comparison.rules import Rules
from noria.metric.base import MEAN, RIGHT, Metric
from noria.statistics.estimate import Estimate
from noria.statistics.no_worse import mean_no_worse, no_worse, proportions_no_worse, resampled_no_worse
from noria.statistics.paired import (
    adjusted_wald,
    mcnemar_many,
    mean_difference,
    percentile_estimates,
    permutation_many,
    proportion_difference,
    resampled_differences,
)
from noria.statistics.power import seeds_needed
from noria.statistics.seeds import SeedScores, seed_difference

TESTS = {RIGHT: "McNemar, exact", MEAN: "paired t"}
PERMUTATION, CROSSED = "paired permutation", "t over seeds and rows"


@dataclass(frozen=True)
class Against:
    """The difference to the baseline before it is known how many there are.

    Args:
        p: two-sided, of the test named `test`.
        no_worse: the p of "worse by the margin or more" (`statistics.no_worse`), held against the same level as `p`.
        error, freedom: the difference's standard error, known to so many degrees of freedom.
        seeds: how many would show the difference; None where that cannot be said.
    """

    estimate: Estimate
    p: float
    no_worse: float
    test: str
    error: float
    freedom: float
    seeds: int | None = None


def against_single_run(
    stack: np.ndarray, alone: np.ndarray, metric: Metric, counts: np.ndarray | None, rules: Rules
) -> list[Against]:
    """Single runs, features (runs, n, k), against the baseline's single run (n, k)."""
    make = {RIGHT: _right, MEAN: _mean}.get(metric.shape)
    if make is not None:
        return [make(features, alone, metric, rules) for features in stack]
    assert counts is not None
    return _resampled(stack, alone, metric, counts, rules)


def _right(features: np.ndarray, alone: np.ndarray, metric: Metric, rules: Rules) -> Against:
    ours, theirs, n = features[:, 0] > 0, alone[:, 0] > 0, len(alone)
    only = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    p = float(mcnemar_many(np.array(only[:1]), np.array(only[1:]))[0])
    estimate = proportion_difference(*only, n, rules.confidence)
    gained, lost = only if metric.mode == "max" else only[::-1]
    _, error = adjusted_wald(*only, n)
    return Against(estimate, p, proportions_no_worse(gained, lost, n, rules.margin), TESTS[RIGHT], error, math.inf)


def _mean(features: np.ndarray, alone: np.ndarray, metric: Metric, rules: Rules) -> Against:
    ours, theirs = features[:, 0].astype(np.float64), alone[:, 0].astype(np.float64)
    estimate, p = mean_difference(ours, theirs, rules.confidence)
    better, worse = (ours, theirs) if metric.mode == "max" else (theirs, ours)
    n = len(ours)
    error = float(np.std(ours - theirs, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Against(estimate, p, mean_no_worse(better, worse, rules.margin), TESTS[MEAN], error, max(n - 1, 1))


def _resampled(stack: np.ndarray, alone: np.ndarray, metric: Metric, counts: np.ndarray, rules: Rules) -> list[Against]:
    from scipy.special import ndtri

    observed, drawn = resampled_differences(stack, alone, metric.value, counts)
    ps = permutation_many(stack, alone, metric.value, seed=rules.seed)
    estimates = percentile_estimates(observed, drawn, len(alone), rules.confidence)
    sign, normal = (1 if metric.mode == "max" else -1), float(ndtri((1 + rules.confidence) / 2))
    found = []
    for estimate, p, values in zip(estimates, ps, drawn, strict=True):
        known = not math.isnan(estimate.low)
        kept = resampled_no_worse(sign * estimate.value, sign * values, rules.margin) if known else math.nan
        error = (estimate.high - estimate.low) / 2 / normal
        found.append(Against(estimate, float(p), kept, PERMUTATION, error, math.inf))
    return found


def over_seeds(first: SeedScores, second: SeedScores, metric: Metric, rules: Rules) -> Against:
    """A config against the baseline, of which at least one has several seeds."""
    estimate, p, parts = seed_difference(first, second, rules.confidence)
    several = min(len(first.values), len(second.values)) > 1
    needed = None
    effect = abs(estimate.value) if rules.effect is None else rules.effect
    if several and effect:
        variances = parts.seed_variance_first, parts.seed_variance_second, parts.example_variance
        needed = seeds_needed(effect, *variances, alpha=rules.alpha)
    gain = estimate.value if metric.mode == "max" else -estimate.value
    known = not math.isnan(parts.standard_error)
    kept = no_worse(gain, parts.standard_error, parts.df, rules.margin) if known else math.nan
    return Against(estimate, p, kept, CROSSED, parts.standard_error, parts.df, needed)
