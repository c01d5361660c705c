"""Accuracy: the share of rows that are right, for multi-label rows with every label right.

Knows nothing of how the probabilities came about.
"""

from __future__ import annotations

from torch import Tensor
from torchmetrics.functional.classification import multiclass_accuracy, multilabel_exact_match

from noria.metric.base import Metric
from noria.statistics.estimate import Estimate
from noria.statistics.proportion import wilson


class Accuracy(Metric):
    """The share of rows that are right, with Wilson's interval (a proportion needs no resamples)."""

    kinds = ("single_label", "multi_label")
    mode = "max"

    def prepare(self, scores: Tensor) -> Tensor:
        return self.decide(scores)

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        return self._right(prepared, labels) / len(labels)

    def interval(self, prepared: Tensor, labels: Tensor, resamples: int, seed: int) -> Estimate:
        return wilson(self._right(prepared, labels), len(labels))

    def _right(self, predicted: Tensor, labels: Tensor) -> int:
        """How many rows are right."""
        # Each row as a sample of its own gives zeros and ones, so that the count is exact.
        rows = predicted.unsqueeze(-1), labels.unsqueeze(-1), self.num_labels
        if self.kind == "single_label":
            right = multiclass_accuracy(*rows, average="micro", multidim_average="samplewise", validate_args=False)
        else:
            right = multilabel_exact_match(*rows, multidim_average="samplewise", validate_args=False)
        return int(right.sum())
