"""Accuracy: the share of rows that are right, for rows with several labels with every label right."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.statistics.estimate import Estimate
from noria.statistics.proportion import wilson


class Accuracy(Metric):
    """The share of rows that are right, with Wilson's interval (a proportion needs no resamples)."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("class", "classes"), "prediction": ("class", "classes")}
    mode = "max"
    shape = "right or wrong"

    def features(self, answers: Answers) -> np.ndarray:
        same = np.equal(answers["prediction"], answers["label"])
        return of_rows(same if same.ndim == 1 else same.all(axis=1))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        return wilson(int(self.features(answers)[:, 0].sum()), answers.rows)
