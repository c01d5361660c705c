"""Two systems, each trained with several seeds, measured on the same rows: seeds and rows are both random.

The metric of seed s on rows E is taken as mean + seed effect + example effect (E) + interaction (s, E): crossed random
effects, as in Owen (2007, The pigeonhole bootstrap) and Sellam et al. (2022, The MultiBERTs, section 4). The variances
are estimated and added here, for the percentile of a plain multi-bootstrap, which draws seeds and rows with repetition,
misses at few seeds: 5 drawn seeds vary by 4/5 of what 5 new ones would, and a percentile knows no degrees of freedom,
so that it holds too little where seeds decide; the interaction counts twice, so that it holds too much where that
does. `scripts/prove/comparisons.py` shows both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noria.statistics.estimate import Estimate
from noria.statistics.resample import check_confidence

TRUSTED_SEEDS = 5  # below, the intervals may hold less than they say: down to 92 % at 3 seeds and 87 % at 2


@dataclass(frozen=True)
class SeedScores:
    """One system's metric, by seed.

    Args:
        values: (S,), each seed's run on all rows.
        resampled: (S, B), each seed's run on B resamples of the rows, the same for all runs of all systems.

    Raises:
        ValueError: shapes that do not fit, no seeds, or fewer than two resamples.
    """

    values: np.ndarray
    resampled: np.ndarray

    def __post_init__(self) -> None:
        values, drawn = np.shape(self.values), np.shape(self.resampled)
        if len(values) != 1 or len(drawn) != 2 or values[0] != drawn[0] or values[0] < 1:
            raise ValueError(f"scores need values (S,) and resampled (S, B), got {values} and {drawn}")
        if drawn[1] < 2:
            raise ValueError(f"scores need at least two resamples, got {drawn[1]}")


@dataclass(frozen=True)
class Components:
    """What the variance of a difference is made of: standard_error² = first / S + second / S + example_variance.

    A seed variance is that of a single seed's metric on these rows, so it holds the interaction too, which more seeds
    average out as well: less `interaction_*` it is that of the seed's own effect. `example_variance` is what more
    seeds do not bring down. NaN: not known, of a system with one seed, whose interaction `example_variance` then holds.
    """

    seed_variance_first: float
    seed_variance_second: float
    interaction_first: float
    interaction_second: float
    example_variance: float
    df: float
    standard_error: float


def seed_mean(scores: SeedScores, confidence: float = 0.95) -> Estimate:
    """The mean over seeds, with an interval over seeds and examples; `n` is the number of seeds.

    As `seed_difference`, for one system.
    """
    check_confidence(confidence)
    return _estimate([scores], [1.0], confidence)[0]


def seed_difference(
    first: SeedScores, second: SeedScores, confidence: float = 0.95
) -> tuple[Estimate, float, Components]:
    """Mean over seeds of `first` minus that of `second`: interval over seeds and examples, two-sided p, variances.

    The variance is the sum, over systems, of var(values) / S and of the examples' variance, which is that of the
    difference of the means over the resamples less the interactions. The interaction of a system is in both: in
    var(values), and by 1/S in the variance of a mean over resamples. It shows in that a single seed's metric varies
    more over the resamples than the mean of S does: (mean variance - variance of the mean) * S / (S - 1).

    What is known for certain bounds each from below: var(values) is at least the interaction, the examples' part at
    least 0. So the sum is never below the examples' variance alone, nor below that of the seeds. Interval and p are
    Student's t, with S - 1 degrees of freedom for each system's seeds and B - 1 for the examples, whose variance B
    resamples measure (Satterthwaite 1946). The rows are those of both systems, so what is hard for both cancels;
    seeds are not paired.

    A system of one seed shows no seed variance: it counts as 0, and `method` says for which the interval leaves it
    out. `n` is the number of runs. Resamples on which any run has no value are left out, and the method says so.

    Raises:
        ValueError: another number of resamples, or a confidence outside (0, 1).
    """
    check_confidence(confidence)
    if np.shape(first.resampled)[1] != np.shape(second.resampled)[1]:
        resamples = (np.shape(first.resampled)[1], np.shape(second.resampled)[1])
        raise ValueError(f"both systems need the same resamples, got {resamples[0]} and {resamples[1]}")
    return _estimate([first, second], [1.0, -1.0], confidence)


def _estimate(systems: list[SeedScores], signs: list[float], confidence: float) -> tuple[Estimate, float, Components]:
    """Interval, p and variances of the sum of signs times means."""
    from scipy.special import stdtr, stdtrit

    value = sum(sign * float(np.mean(scores.values)) for sign, scores in zip(signs, systems, strict=True))
    runs = sum(len(scores.values) for scores in systems)
    kept = ~np.any([np.isnan(scores.resampled).any(0) for scores in systems], axis=0)
    method = _method(systems, kept)
    if math.isnan(value) or 2 * kept.sum() < len(kept) or kept.sum() < 2:
        nothing = Components(*[math.nan] * 7)
        return Estimate(value, math.nan, math.nan, runs, method, confidence), math.nan, nothing
    found = _components(systems, signs, kept)
    half = float(stdtrit(found.df, (1 + confidence) / 2)) * found.standard_error
    if found.standard_error > 0:
        p = float(2 * stdtr(found.df, -abs(value) / found.standard_error))
    else:
        p = 0.0 if value else 1.0
    return Estimate(value, value - half, value + half, runs, method, confidence), p, found


def _components(systems: list[SeedScores], signs: list[float], kept: np.ndarray) -> Components:
    means = sum(sign * scores.resampled[:, kept].mean(0) for sign, scores in zip(signs, systems, strict=True))
    examples = float(np.var(means, ddof=1))
    variances, interactions = [math.nan, math.nan], [math.nan, math.nan]
    part = known = 0.0  # the seeds' part of the variance, and what Satterthwaite divides by
    for at, scores in enumerate(systems):
        seeds = len(scores.values)
        if seeds > 1:
            interactions[at] = _interaction(scores.resampled[:, kept])
            variances[at] = max(float(np.var(scores.values, ddof=1)), interactions[at])
            examples -= interactions[at] / seeds
            part += variances[at] / seeds
            known += (variances[at] / seeds) ** 2 / (seeds - 1)
    examples = max(examples, 0.0)
    known += examples**2 / (kept.sum() - 1)
    df = float((part + examples) ** 2 / known) if known > 0 else math.inf
    return Components(
        seed_variance_first=variances[0],
        seed_variance_second=variances[1],
        interaction_first=interactions[0],
        interaction_second=interactions[1],
        example_variance=examples,
        df=df,
        standard_error=math.sqrt(part + examples),
    )


def _interaction(drawn: np.ndarray) -> float:
    """The variance that a single seed's metric (S, B) over resamples has beyond what all seeds share."""
    seeds = len(drawn)
    apart = np.var(drawn, axis=1, ddof=1).mean() - np.var(drawn.mean(0), ddof=1)
    return max(float(apart), 0.0) * seeds / (seeds - 1)


def _method(systems: list[SeedScores], kept: np.ndarray) -> str:
    several = [len(scores.values) > 1 for scores in systems]
    method = "crossed random effects"
    if not any(several):
        method = "examples only, one seed"
    elif not all(several):
        method = f"{method}, seeds of the {'first' if several[0] else 'second'} only"
    if not kept.all():
        method = f"{method}, {kept.sum()} of {len(kept)} resamples"
    return method
