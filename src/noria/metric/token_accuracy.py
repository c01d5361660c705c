"""The share of words that have the right tag."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class TokenAccuracy(Metric):
    """The share of all words whose tag is right; its interval resamples rows."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("tags",), "prediction": ("tags",)}
    mode = "max"

    def features(self, answers: Answers) -> np.ndarray:
        pairs = list(zip(answers["label"], answers["prediction"], strict=True))
        right = [sum(a == b for a, b in zip(true, said, strict=True)) for true, said in pairs]
        return np.array([right, [len(true) for true, _ in pairs]], np.float64).T

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
