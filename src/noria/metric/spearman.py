"""Spearman's rank correlation between true and predicted values.

Knows nothing of the unit of the values.
"""

from __future__ import annotations

import math

from torch import Tensor
from torchmetrics.functional.regression import spearman_corrcoef

from noria.metric.base import Metric, no_correlation


class Spearman(Metric):
    """Spearman's rank correlation between true and predicted values, in [-1, 1].

    NaN when either is the same for all rows: then no correlation is defined.
    """

    kinds = ("regression",)
    mode = "max"

    def undefined(self, scores: Tensor, labels: Tensor) -> str:
        return no_correlation(scores, labels)

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        if no_correlation(prepared, labels):
            return math.nan
        return float(spearman_corrcoef(prepared, labels))
