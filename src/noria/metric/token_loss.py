"""The loss of a token, of rows that have many."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class TokenLoss(Metric):
    """The mean loss over all targets, in nats; its interval resamples rows, for a row's tokens are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "tokens": ("count",)}
    mode = "min"
    unit = "nats per token"

    def features(self, answers: Answers) -> np.ndarray:
        tokens = answers["tokens"].astype(np.float64)
        return np.stack([answers["loss"].astype(np.float64) * tokens, tokens], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
