"""What a comparison found, as plain values. Computes nothing, draws nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noria.statistics.estimate import Estimate

BETTER, WORSE = "better", "worse"
NO_WORSE, CANNOT_TELL = "no worse within the margin", "cannot tell"


@dataclass(frozen=True)
class Difference:
    """A system less the baseline.

    Args:
        estimate: the difference of the metric with its interval, not turned round where less is better.
        p: two-sided, of the test named `test`.
        p_adjusted: corrected for all comparisons made.
        verdict: better, worse, no worse within the margin, cannot tell.
        smallest: the smallest difference that these rows and seeds would have shown with a power of 80 %.
        seeds_needed: how many seeds of each system would show the difference that was asked for, or `estimate.value`,
            with that power; None where there are single runs, or where no number of seeds could.
        no_worse, no_worse_adjusted: the p of "worse by the margin or more", twice the one-sided one, and corrected. It
            is held against alpha as `p` is, and below it where the interval lies above the negative of the margin.
    """

    estimate: Estimate
    p: float
    p_adjusted: float
    test: str
    verdict: str
    smallest: float
    seeds_needed: int | None = None
    no_worse: float = math.nan
    no_worse_adjusted: float = math.nan


@dataclass(frozen=True)
class System:
    """One config over its seeds.

    Args:
        name: what tells it from the others, such as `optimizer.lr=3e-05 scheduler=cosine`.
        settings: the keys that vary among the systems, and its values.
        runs: the run folders, one a seed.
        values: the metric of each run.
        estimate: the mean over the runs with its interval.
        sd: the standard deviation over the runs; NaN for one.
        difference: to the baseline; None for the baseline itself.
    """

    rank: int
    name: str
    settings: dict[str, Any]
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    estimate: Estimate
    sd: float
    difference: Difference | None


@dataclass(frozen=True)
class Winner:
    """The best system on the `rows` of the test set, which the selection has not seen, and how often that set was
    looked at."""

    name: str
    rows: int
    estimate: Estimate
    difference: Difference | None
    looks: int


@dataclass(frozen=True)
class Comparison:
    """All systems, the best first.

    Args:
        metric: without the split, such as `accuracy`.
        mode: `max` or `min`: which way is better.
        split: whose rows were compared.
        rows: how many.
        baseline: the name of the system that the others are compared to.
        margin: how much worse is still "no worse", in units of the metric.
        correction: for many comparisons: `holm`, `fdr_bh` or `none`.
        winner: what is known of the best system on rows that did not choose it; None where it is not known.
        notes: what a reader has to know, one sentence each, such as that the intervals of three seeds are not to be
            trusted.
    """

    metric: str
    mode: str
    split: str
    rows: int
    baseline: str
    margin: float
    alpha: float
    correction: str
    systems: tuple[System, ...]
    winner: Winner | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Curve:
    """How one run learnt, a number each epoch: `series` has `train/loss`, `val/loss`, `val/<metric>` …, some NaN."""

    system: str
    seed: int
    step: np.ndarray
    series: dict[str, np.ndarray]


@dataclass(frozen=True)
class Calibration:
    """How often a classifier is right for how sure it is: bins of its highest probability.

    Args:
        confidence, accuracy, count: of each bin that holds rows.
        error: the expected calibration error (Guo et al. 2017, eq. 3).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    error: float


@dataclass(frozen=True)
class Disagreement:
    """A row that the systems answer differently: `answers` by system, each with the share of its runs that give it."""

    id: str
    text: str | None
    label: str
    answers: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Dispute:
    """Where two systems, and those beside them, disagree most.

    Args:
        first, second: the names of the two.
        won, lost: on how many rows the first is right by more of its runs than the second, and the other way round.
        rows: on how many rows any two answers differ.
        shown: some of these, the most disputed first.
    """

    first: str
    second: str
    won: int
    lost: int
    rows: int
    shown: tuple[Disagreement, ...]


@dataclass(frozen=True)
class Evidence:
    """What the pictures of a report are drawn from. What a comparison has nothing of is empty.

    Args:
        seconds: the training time of each run, by system.
        parameters: how many parameters each system has.
        latency, bytes: milliseconds for an example alone and bytes on disk of each run, by system, where an artifact
            was made of another one and both were measured.
        labels: of the confusion matrices, rows true, columns predicted, counts summed over the runs of a system.
    """

    curves: tuple[Curve, ...] = ()
    seconds: dict[str, tuple[float, ...]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    latency: dict[str, tuple[float, ...]] = field(default_factory=dict)
    bytes: dict[str, tuple[float, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    confusion: dict[str, np.ndarray] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    dispute: Dispute | None = None
