"""Matthews' correlation coefficient between true and predicted classes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric


class Matthews(Metric):
    """R_K of Gorodkin (2004), for two classes Matthews' coefficient; in [-1, 1].

    0 when all rows are of one class or all are predicted as one: a constant guess knows nothing.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("class",), "prediction": ("class",)}
    mode = "max"

    def features(self, answers: Answers) -> np.ndarray:
        true, said = answers.table("label"), answers.table("prediction")
        return np.concatenate([(true * said).sum(1, keepdims=True), np.ones((len(true), 1)), said, true], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, rows = sums[..., 0], sums[..., 1]
        said, true = np.split(sums[..., 2:], 2, axis=-1)
        covariance = right * rows - (said * true).sum(-1)
        spread = (rows**2 - (true**2).sum(-1)) * (rows**2 - (said**2).sum(-1))
        return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
