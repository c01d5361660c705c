"""The mean squared error, in the values' unit squared.

Knows nothing of what that unit is.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.regression import mean_squared_error

from noria.metric.base import Metric


class MSE(Metric):
    """The mean squared error, in the values' unit squared."""

    kinds = ("regression",)
    mode = "min"

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        return float(mean_squared_error(prepared, labels))
