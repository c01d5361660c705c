"""The mean loss of things of which a row has many: words, tokens, windows. Knows not which."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class CountedLoss(Metric):
    """The mean over all of them, in nats; its interval resamples rows, for those of a row are not independent.

    Attributes:
        counted: the column that says how many a row has; `loss` is the mean over these.
    """

    mode = "min"
    counted: ClassVar[str] = ""

    def features(self, answers: Answers) -> np.ndarray:
        count = answers[self.counted].astype(np.float64)
        return np.stack([answers["loss"].astype(np.float64) * count, count], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
