"""The loss of a window, of rows that are read in one window or in several."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class WindowLoss(Metric):
    """The mean loss over all windows, in nats; its interval resamples rows, whose windows are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "windows": ("count",)}
    mode = "min"
    unit = "nats per window"

    def features(self, answers: Answers) -> np.ndarray:
        windows = answers["windows"].astype(np.float64)
        return np.stack([answers["loss"].astype(np.float64) * windows, windows], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
