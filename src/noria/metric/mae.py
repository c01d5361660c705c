"""The mean absolute error, in the values' unit.

Knows nothing of what that unit is.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.regression import mean_absolute_error

from noria.metric.base import Metric


class MAE(Metric):
    """The mean absolute error, in the values' unit."""

    kinds = ("regression",)
    mode = "min"

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        return float(mean_absolute_error(prepared, labels))
