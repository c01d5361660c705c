"""From groups of runs to a comparison: each config's number, its difference to the baseline, and a verdict in words.

Reads the runs one after the other and keeps sums, not answers. Draws and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from noria.comparison.answers import Sheet
from noria.comparison.measure import MEAN, RIGHT, Measure
from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference, System
from noria.comparison.runs import Run
from noria.comparison.systems import Group
from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate
from noria.statistics.multiple import adjusted
from noria.statistics.paired import (
    bootstrap_differences,
    mcnemar_many,
    mean_difference,
    permutation_many,
    proportion_difference,
)
from noria.statistics.power import seeds_needed, smallest_difference
from noria.statistics.proportion import wilson
from noria.statistics.resample import example_counts, resampled
from noria.statistics.seeds import TRUSTED_SEEDS, SeedScores, seed_difference, seed_mean

Correction = Literal["holm", "fdr_bh", "none"]
STACK = 2**24  # numbers of the features that are held at once
NORMAL_95 = 1.959964
TESTS = {RIGHT: "McNemar, exact", MEAN: "paired t"}
PERMUTATION, CROSSED = "paired permutation", "t over seeds and rows"


@dataclass(frozen=True)
class Rules:
    """How a comparison decides.

    Args:
        margin: how much worse is still "no worse", in units of the metric.
        alpha: how often "better" or "worse" may be said at most where nothing differs.
        correction: for many comparisons.
        resamples, seed: of the bootstrap.
        effect: the difference that seeds are counted for; None: the one that was found.
    """

    margin: float = 0.01
    alpha: float = 0.05
    correction: Correction = "holm"
    resamples: int = 1000
    seed: int = 0
    effect: float | None = None


@dataclass(frozen=True)
class _Score:
    """One run: its number, the same on resampled rows, and where it stands alone its interval."""

    value: float
    resampled: np.ndarray | None
    estimate: Estimate | None


@dataclass(frozen=True)
class _Against:
    """The difference to the baseline before it is known how many there are."""

    estimate: Estimate
    p: float
    test: str
    error: float
    freedom: float
    seeds: int | None = None


def compare(
    groups: Sequence[Group],
    baseline: Group,
    sheet: Sheet,
    measure: Measure,
    rules: Rules,
    advance: Callable[[int], object] = lambda runs: None,
) -> Comparison:
    """Every group against the baseline on the rows of the sheet.

    Two single runs are compared by McNemar's exact test (accuracy), a paired t test (means over rows) or a paired
    permutation (the rest); as soon as one of them has several seeds, by a test in which seeds and rows both vary.

    Args:
        advance: told the number of runs after each piece of work.

    Raises:
        UserError: a run has answered other rows.
    """
    counts = None
    if measure.form not in TESTS or any(len(one.runs) > 1 for one in groups):
        counts = example_counts(len(sheet), rules.resamples, rules.seed)
    alone = _features(baseline.runs, sheet, measure)[0] if len(baseline.runs) == 1 else None
    scores: dict[int, _Score] = {}
    against: dict[str, _Against] = {}
    single = {id(one.runs[0]): one.name for one in groups if len(one.runs) == 1 and one is not baseline}
    runs = [run for one in groups for run in one.runs]
    width = len(sheet) * _features(runs[:1], sheet, measure).shape[-1]
    step = max(1, STACK // max(width, 1))
    for start in range(0, len(runs), step):
        piece = runs[start : start + step]
        stack = _features(piece, sheet, measure)
        scores |= {id(run): score for run, score in zip(piece, _scores(stack, measure, counts), strict=True)}
        chosen = [place for place, run in enumerate(piece) if id(run) in single]
        if alone is not None and chosen:
            found = _paired(stack[chosen], alone, measure, counts, rules.seed)
            against |= {single[id(piece[place])]: one for place, one in zip(chosen, found, strict=True)}
        advance(len(piece))
    for one in groups:
        if one is not baseline and one.name not in against:
            against[one.name] = _over_seeds(one, baseline, scores, rules)
    return _concluded(groups, baseline, sheet, measure, rules, scores, against)


def _features(runs: Sequence[Run], sheet: Sheet, measure: Measure) -> np.ndarray:
    """(runs, n, k) float32: counts and losses, which it holds well enough."""
    made = [measure.features(sheet, sheet.answers(run, measure.columns)) for run in runs]
    return np.stack([features.astype(np.float32) for features in made])


def _scores(stack: np.ndarray, measure: Measure, counts: np.ndarray | None) -> list[_Score]:
    values = measure.value(stack.sum(axis=1, dtype=np.float64))
    again = resampled(stack, measure.value, counts) if counts is not None else [None] * len(stack)
    return [
        _Score(float(value), more, _alone(float(value), features, measure, more))
        for value, features, more in zip(values, stack, again, strict=True)
    ]


def _alone(value: float, features: np.ndarray, measure: Measure, again: np.ndarray | None) -> Estimate:
    """The interval of one run's number over the rows."""
    n = len(features)
    if measure.form == RIGHT:
        return wilson(int(features[:, 0].sum()), n)
    if measure.form == MEAN:
        return mean_interval(features[:, 0])
    assert again is not None
    low, high = np.quantile(again, [0.025, 0.975]) if not np.isnan(again).any() else (math.nan, math.nan)
    return Estimate(value, float(low), float(high), n, "bootstrap percentile")


def _paired(
    stack: np.ndarray, alone: np.ndarray, measure: Measure, counts: np.ndarray | None, seed: int
) -> list[_Against]:
    """Single runs (runs, n, k) against the baseline's single run (n, k)."""
    if measure.form == RIGHT:
        right, theirs = stack[..., 0] > 0, alone[:, 0] > 0
        ours, others = (right & ~theirs).sum(axis=1), (~right & theirs).sum(axis=1)
        ps = list(mcnemar_many(ours, others))
        estimates = [proportion_difference(int(a), int(b), len(alone)) for a, b in zip(ours, others, strict=True)]
    elif measure.form == MEAN:
        pairs = [mean_difference(features[:, 0], alone[:, 0]) for features in stack]
        estimates, ps = [estimate for estimate, _ in pairs], [p for _, p in pairs]
    else:
        assert counts is not None
        estimates = bootstrap_differences(stack, alone, measure.value, counts)
        ps = list(permutation_many(stack, alone, measure.value, seed=seed))
    test = TESTS.get(measure.form, PERMUTATION)
    return [
        _Against(estimate, float(p), test, (estimate.high - estimate.low) / 2 / NORMAL_95, math.inf)
        for estimate, p in zip(estimates, ps, strict=True)
    ]


def _over_seeds(one: Group, baseline: Group, scores: dict[int, _Score], rules: Rules) -> _Against:
    first, second = (_seed_scores(group, scores) for group in (one, baseline))
    estimate, p, parts = seed_difference(first, second)
    several = min(len(one.runs), len(baseline.runs)) > 1
    needed = None
    effect = abs(estimate.value) if rules.effect is None else rules.effect
    if several and effect:
        variances = parts.seed_variance_first, parts.seed_variance_second, parts.example_variance
        needed = seeds_needed(effect, *variances, alpha=rules.alpha)
    return _Against(estimate, p, CROSSED, parts.standard_error, parts.df, needed)


def _seed_scores(group: Group, scores: dict[int, _Score]) -> SeedScores:
    found = [scores[id(run)] for run in group.runs]
    return SeedScores(np.array([score.value for score in found]), np.stack([_is(score.resampled) for score in found]))


def _concluded(
    groups: Sequence[Group],
    baseline: Group,
    sheet: Sheet,
    measure: Measure,
    rules: Rules,
    scores: dict[int, _Score],
    against: dict[str, _Against],
) -> Comparison:
    names = [one.name for one in groups if one is not baseline]
    corrected = adjusted(np.array([against[name].p for name in names]), rules.correction) if names else np.array([])
    ps = dict(zip(names, corrected, strict=True))
    judged = {name: _judged(against[name], float(p), measure, rules) for name, p in ps.items()}
    systems = [_system(one, scores, judged.get(one.name)) for one in groups]
    sign = -1 if measure.mode == "max" else 1
    systems.sort(key=lambda system: (math.isnan(system.estimate.value), sign * system.estimate.value))
    return Comparison(
        metric=measure.name,
        mode=measure.mode,
        split=sheet.split,
        rows=len(sheet),
        baseline=baseline.name,
        margin=rules.margin,
        alpha=rules.alpha,
        correction=rules.correction,
        systems=tuple(replace(system, rank=rank) for rank, system in enumerate(systems, start=1)),
        notes=tuple(_notes(groups)),
    )


def _system(one: Group, scores: dict[int, _Score], difference: Difference | None) -> System:
    found = [scores[id(run)] for run in one.runs]
    values = tuple(score.value for score in found)
    estimate = found[0].estimate if len(found) == 1 else seed_mean(_seed_scores(one, scores))
    assert estimate is not None
    return System(
        rank=0,
        name=one.name,
        settings=one.settings,
        runs=tuple(str(run.folder) for run in one.runs),
        seeds=tuple(run.seed for run in one.runs),
        values=values,
        estimate=estimate,
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
        difference=difference,
    )


def _judged(found: _Against, p: float, measure: Measure, rules: Rules) -> Difference:
    smallest = smallest_difference(found.error, found.freedom, alpha=rules.alpha)
    verdict = _verdict(found.estimate, p, measure.mode, rules)
    return Difference(found.estimate, found.p, p, found.test, verdict, smallest, found.seeds)


def _verdict(difference: Estimate, p: float, mode: str, rules: Rules) -> str:
    gain, worst = (difference.value, difference.low) if mode == "max" else (-difference.value, -difference.high)
    if p < rules.alpha:
        return BETTER if gain > 0 else WORSE
    return NO_WORSE if worst > -rules.margin else CANNOT_TELL


def _notes(groups: Sequence[Group]) -> list[str]:
    few = sum(1 < len(one.runs) < TRUSTED_SEEDS for one in groups)
    single = sum(len(one.runs) == 1 for one in groups)
    notes = []
    if few:
        notes.append(
            f"{few} of {len(groups)} configs have fewer than {TRUSTED_SEEDS} seeds: intervals over so few are not to "
            "be trusted."
        )
    if single:
        notes.append(
            f"{single} of {len(groups)} configs have a single run: what is compared there is these models, and another "
            "seed may order the configs otherwise."
        )
    return notes


def _is(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values
