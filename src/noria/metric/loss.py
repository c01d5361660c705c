"""The loss of the rows as they are measured: without class weights or smoothing."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate


class Loss(Metric):
    """The mean loss of a row, with Student's t interval."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",)}
    mode = "min"
    shape = "mean"

    def features(self, answers: Answers) -> np.ndarray:
        return of_rows(answers["loss"])

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def estimate(self, answers: Answers, *, resamples: int = 1000, seed: int = 0) -> Estimate:
        return mean_interval(answers["loss"])
