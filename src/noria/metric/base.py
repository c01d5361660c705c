"""What every metric is: a number of all rows of an evaluation at once, with its interval.

A metric is a value of the column sums of the rows' features (n, k): a resample in which row i stands w_i times has the
sums w @ features, which is what makes thousands of resamples cheap. Knows nothing of models, batches or logging, and
imports no torch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.statistics.bootstrap import bootstrap
from noria.statistics.estimate import Estimate

RIGHT, MEAN, SUMS = "right or wrong", "mean", "sums"


class Metric(ABC):
    """One number for a whole evaluation.

    The class attributes are literals: the check of a config reads them from the source, without an import.

    Attributes:
        reads: the columns of answers that it reads, and which contents each of them may have (`answers.CONTENTS`).
        mode: which way is better.
        shape: of the features: `right or wrong` (zeros and ones, a one), `mean` (a number of each row, a one) or
            `sums` (anything else).
        unit: of what it is a number, or for each of what; empty where its name says it.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {}
    mode: ClassVar[Literal["max", "min"]] = "max"
    shape: ClassVar[str] = SUMS
    unit: ClassVar[str] = ""

    @abstractmethod
    def features(self, answers: Answers) -> np.ndarray:
        """What each row adds to the sums (n, k), float64."""

    @abstractmethod
    def value(self, sums: np.ndarray) -> np.ndarray:
        """The metric (...) of sums (..., k); NaN where it is undefined."""

    def __call__(self, answers: Answers) -> float:
        """The metric over all rows; NaN where it is undefined, and where a number of the answers is NaN."""
        return math.nan if answers.has_nan else float(self.value(self.features(answers).sum(axis=0)))

    def estimate(self, answers: Answers, *, resamples: int = 1000, seed: int = 0) -> Estimate:
        """The metric over all rows with its 95 % interval."""
        if answers.has_nan:
            return Estimate(math.nan, math.nan, math.nan, answers.rows, "none: a score is NaN", unit=self.unit)
        found = self.interval(answers, resamples, seed)
        return replace(found, unit=self.unit, signature=self.signature(answers))

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        """The metric of answers without NaN: here with a bootstrap over the rows."""
        features = self.features(answers)

        def statistic(rows: np.ndarray) -> float:
            return float(self.value(np.bincount(rows, minlength=answers.rows) @ features))

        return bootstrap(statistic, answers.rows, resamples=resamples, seed=seed)

    def undefined(self, answers: Answers) -> str:
        """Why the metric is not defined on these rows, in words for a message; empty where it is."""
        return ""

    def signature(self, answers: Answers) -> str:
        """The settings with which it is computed, where numbers of other settings bear the same name."""
        return ""

    def fits(self, answers: Answers) -> bool:
        """Whether the answers have the columns that it reads."""
        return all(name in answers for name in self.reads)


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first column over the second; NaN where that is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def of_rows(values: np.ndarray) -> np.ndarray:
    """Features (n, 2) of a mean over rows."""
    return np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)


def exp(values: np.ndarray) -> np.ndarray:
    """exp, inf beyond what a float holds."""
    return np.asarray(
        np.where(values < 700, np.exp(np.minimum(values, 700)), np.where(np.isnan(values), np.nan, np.inf))
    )
