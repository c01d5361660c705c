"""The loss of a word, of rows that have many."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class WordLoss(Metric):
    """The mean loss over all words, in nats; its interval resamples rows, for a row's words are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "words": ("count",)}
    mode = "min"
    unit = "nats per word"

    def features(self, answers: Answers) -> np.ndarray:
        words = answers["words"].astype(np.float64)
        return np.stack([answers["loss"].astype(np.float64) * words, words], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
