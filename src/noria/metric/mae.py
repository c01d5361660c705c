"""The mean absolute error, in the values' unit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio


class MAE(Metric):
    """The mean absolute error, in the values' unit."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("number",), "prediction": ("number",)}
    mode = "min"
    shape = "mean"

    def features(self, answers: Answers) -> np.ndarray:
        return of_rows(np.abs(answers["prediction"] - answers["label"]) ** 1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
