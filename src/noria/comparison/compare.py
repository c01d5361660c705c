"""From groups of runs to a comparison: each config's number, its difference to the baseline, and a verdict in words.

Reads the runs one after the other and keeps sums, not answers. Draws and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from noria.comparison.against import TESTS, Against, against_single_run, over_seeds
from noria.comparison.common_rows import CommonRows
from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference, System
from noria.comparison.rules import Rules
from noria.comparison.runs import Run
from noria.comparison.systems import Group
from noria.metric.base import MEAN, RIGHT, Metric
from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate
from noria.statistics.multiple import adjusted
from noria.statistics.power import smallest_difference
from noria.statistics.proportion import wilson
from noria.statistics.resample import example_counts, percentile_interval, resampled
from noria.statistics.seeds import TRUSTED_SEEDS, SeedScores, seed_mean

STACK = 2**24  # numbers of the features that are held at once


@dataclass(frozen=True)
class _Score:
    """One run: its number, the same on resampled rows, and where it stands alone its interval."""

    value: float
    resampled: np.ndarray | None
    estimate: Estimate | None


def compare(
    groups: Sequence[Group],
    baseline: Group,
    rows: CommonRows,
    name: str,
    metric: Metric,
    rules: Rules,
    advance: Callable[[int], object] = lambda runs: None,
) -> Comparison:
    """Every group against the baseline on the rows of the rows.

    Two single runs are compared by McNemar's exact test (accuracy), a paired t test (means over rows) or a paired
    permutation (the rest); as soon as one of them has several seeds, by a test in which seeds and rows both vary.

    Args:
        name: of the metric in the config.
        advance: told the number of runs after each piece of work.

    Raises:
        UserError: a run has answered other rows, or there are too few resamples.
    """
    counts = None
    if metric.shape not in TESTS or any(len(one.runs) > 1 for one in groups):
        rules.require_resamples()
        counts = example_counts(len(rows), rules.resamples, rules.seed)
    alone = _features(baseline.runs, rows, metric)[0] if len(baseline.runs) == 1 else None
    scores: dict[int, _Score] = {}
    against: dict[str, Against] = {}
    single = {id(one.runs[0]): one.name for one in groups if len(one.runs) == 1 and one is not baseline}
    runs = [run for one in groups for run in one.runs]
    width = len(rows) * _features(runs[:1], rows, metric).shape[-1]
    step = max(1, STACK // max(width, 1))
    for start in range(0, len(runs), step):
        piece = runs[start : start + step]
        stack = _features(piece, rows, metric)
        scores |= {id(run): score for run, score in zip(piece, _scores(stack, metric, counts, rules), strict=True)}
        chosen = [place for place, run in enumerate(piece) if id(run) in single]
        if alone is not None and chosen:
            found = against_single_run(stack[chosen], alone, metric, counts, rules)
            against |= {single[id(piece[place])]: one for place, one in zip(chosen, found, strict=True)}
        advance(len(piece))
    for one in groups:
        if one is not baseline and one.name not in against:
            pair = _seed_scores(one, scores), _seed_scores(baseline, scores)
            against[one.name] = over_seeds(*pair, metric, rules)
    return _concluded(groups, baseline, rows, name, metric, rules, scores, against)


def _features(runs: Sequence[Run], rows: CommonRows, metric: Metric) -> np.ndarray:
    """(runs, n, k) float32: counts and losses, which it holds well enough."""
    made = [metric.features(rows.answers(run, metric.reads)) for run in runs]
    return np.stack([features.astype(np.float32) for features in made])


def _scores(stack: np.ndarray, metric: Metric, counts: np.ndarray | None, rules: Rules) -> list[_Score]:
    values = metric.value(stack.sum(axis=1, dtype=np.float64))
    again = resampled(stack, metric.value, counts) if counts is not None else [None] * len(stack)
    return [
        _Score(float(value), more, _alone(float(value), features, metric, more, rules.confidence))
        for value, features, more in zip(values, stack, again, strict=True)
    ]


def _alone(value: float, features: np.ndarray, metric: Metric, again: np.ndarray | None, confidence: float) -> Estimate:
    """The interval of one run's number over the rows."""
    n = len(features)
    if metric.shape == RIGHT:
        return wilson(int(features[:, 0].sum()), n, confidence)
    if metric.shape == MEAN:
        return mean_interval(features[:, 0], confidence)
    low, high, used = percentile_interval(_is(again), confidence)
    method = "bootstrap percentile"
    if used < len(_is(again)):
        method = f"{method}, {used} of {len(_is(again))} resamples"
    return Estimate(value, low, high, n, method, confidence)


def _seed_scores(group: Group, scores: dict[int, _Score]) -> SeedScores:
    found = [scores[id(run)] for run in group.runs]
    return SeedScores(np.array([score.value for score in found]), np.stack([_is(score.resampled) for score in found]))


def _concluded(
    groups: Sequence[Group],
    baseline: Group,
    rows: CommonRows,
    name: str,
    metric: Metric,
    rules: Rules,
    scores: dict[int, _Score],
    against: dict[str, Against],
) -> Comparison:
    others = [one.name for one in groups if one is not baseline]
    ps = _corrected([against[other].p for other in others], rules)
    kept = _corrected([against[other].no_worse for other in others], rules)
    judged = {
        other: _judged(against[other], p, no_worse, metric, rules)
        for other, p, no_worse in zip(others, ps, kept, strict=True)
    }
    systems = [_system(one, scores, judged.get(one.name), rules) for one in groups]
    sign = -1 if metric.mode == "max" else 1
    systems.sort(key=lambda system: (math.isnan(system.estimate.value), sign * system.estimate.value))
    return Comparison(
        metric=name,
        mode=metric.mode,
        split=rows.split,
        rows=len(rows),
        baseline=baseline.name,
        margin=rules.margin,
        alpha=rules.alpha,
        correction=rules.correction,
        systems=tuple(replace(system, rank=rank) for rank, system in enumerate(systems, start=1)),
        notes=(*_notes(groups), *_undefined(groups, scores, name)),
    )


def _system(one: Group, scores: dict[int, _Score], difference: Difference | None, rules: Rules) -> System:
    found = [scores[id(run)] for run in one.runs]
    values = tuple(score.value for score in found)
    estimate = found[0].estimate if len(found) == 1 else seed_mean(_seed_scores(one, scores), rules.confidence)
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


def _corrected(ps: list[float], rules: Rules) -> list[float]:
    return [float(p) for p in adjusted(np.array(ps), rules.correction)] if ps else []


def _judged(found: Against, p: float, no_worse: float, metric: Metric, rules: Rules) -> Difference:
    smallest = smallest_difference(found.error, found.freedom, alpha=rules.alpha)
    verdict = _verdict(found.estimate, p, no_worse, metric.mode, rules.alpha)
    return Difference(found.estimate, found.p, p, found.test, verdict, smallest, found.seeds, found.no_worse, no_worse)


def _verdict(difference: Estimate, p: float, no_worse: float, mode: str, alpha: float) -> str:
    """By corrected p-values, both two-sided."""
    if p < alpha:
        return BETTER if (difference.value if mode == "max" else -difference.value) > 0 else WORSE
    return NO_WORSE if no_worse < alpha else CANNOT_TELL


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


def _undefined(groups: Sequence[Group], scores: dict[int, _Score], name: str) -> list[str]:
    """Where the metric has no value on some resamples of the rows, such as one without any row of a class."""
    drawn = [[d for run in one.runs if (d := scores[id(run)].resampled) is not None] for one in groups]
    shares = [float(np.isnan(np.stack(runs)).any(axis=0).mean()) for runs in drawn if runs]
    some, none = sum(0 < share <= 0.5 for share in shares), sum(share > 0.5 for share in shares)
    notes = []
    if some:
        notes.append(
            f"{name} has no value on some resamples of the rows (up to {max(s for s in shares if s <= 0.5):.1%}"
            f" of them, for {some} of {len(shares)} configs): those intervals are of the resamples that have one."
        )
    if none:
        notes.append(
            f"{name} has no value on more than half of the resamples of the rows, for {none} of {len(shares)} "
            "configs: there is no interval."
        )
    return notes


def _is(values: np.ndarray | None) -> np.ndarray:
    assert values is not None
    return values
