"""Matthews' correlation coefficient between true and predicted classes.

Knows nothing of how the probabilities came about.
"""

from __future__ import annotations

import math

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from noria.metric.base import Metric


class Matthews(Metric):
    """R_K of Gorodkin (2004), for two classes Matthews' coefficient; in [-1, 1].

    0 when all rows are of one class or all are predicted as one: a constant guess knows nothing.
    """

    kinds = ("single_label",)
    mode = "max"

    def prepare(self, scores: Tensor) -> Tensor:
        return self.decide(scores)

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        # The last step is not left to torchmetrics: for two classes its reduction gives a constant guess
        # something other than 0 (0.087 for 70 rows against 30), and it works in single precision.
        counts = multiclass_confusion_matrix(prepared, labels, self.num_labels, validate_args=False).double()
        true, predicted, rows = counts.sum(dim=1), counts.sum(dim=0), counts.sum()
        covariance = counts.trace() * rows - true @ predicted
        spread = float((rows**2 - true @ true) * (rows**2 - predicted @ predicted))
        return float(covariance) / math.sqrt(spread) if spread > 0 else 0.0
