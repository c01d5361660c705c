"""Area under the ROC curve, one label against the rest, averaged over labels.

Knows nothing of how the probabilities came about.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.classification import multilabel_auroc

from noria.metric.base import Metric
from noria.statistics.bootstrap import bootstrap
from noria.statistics.estimate import Estimate


class AUROC(Metric):
    """How likely a row with the label scores above one without it (ties count half), averaged over labels.

    macro: the plain mean; weighted: by each label's true rows. A label that all rows have or none has no
    area and is left out of the mean; with no label left the metric is NaN.
    """

    kinds = ("single_label", "multi_label")
    mode = "max"

    def __init__(self, kind: str, num_labels: int, *, average: Literal["macro", "weighted"] = "macro") -> None:
        super().__init__(kind, num_labels)
        self.average = average

    def undefined(self, scores: Tensor, labels: Tensor) -> str:
        truth = self._truth(labels.cpu().long())
        if bool((truth == truth[0]).all()):
            return f"all {len(truth)} rows have the same label, and the area compares rows with a label and without"
        return ""

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        truth = self._truth(labels)
        positives = truth.sum(dim=0).double()
        # torchmetrics gives a label without an area 0, which would pull the mean down: keep those from it.
        defined = (positives > 0) & (positives < len(truth))
        if not bool(defined.any()):
            return math.nan
        areas = multilabel_auroc(
            prepared[:, defined], truth[:, defined], int(defined.sum()), average="none", validate_args=False
        )
        return self._mean(areas.double().reshape(-1), positives[defined])

    def interval(self, prepared: Tensor, labels: Tensor, resamples: int, seed: int) -> Estimate:
        """A bootstrap that sorts once: torchmetrics needs 0.5 ms a label for every resample of 1,000 rows."""
        areas_of = _WeightedAreas(prepared.numpy(), self._truth(labels).numpy())

        def statistic(rows: np.ndarray) -> float:
            areas, positives = areas_of(np.bincount(rows, minlength=len(labels)))
            defined = ~np.isnan(areas)
            if not defined.any():
                return math.nan
            return self._mean(torch.from_numpy(areas[defined]), torch.from_numpy(positives[defined]))

        return bootstrap(statistic, len(labels), resamples=resamples, seed=seed)

    def _truth(self, labels: Tensor) -> Tensor:
        """Labels as zeros and ones (n, num_labels)."""
        if self.kind == "multi_label":
            return labels
        return torch.nn.functional.one_hot(labels, self.num_labels)

    def _mean(self, areas: Tensor, positives: Tensor) -> float:
        weights = positives if self.average == "weighted" else torch.ones_like(positives)
        return float((areas * weights).sum() / weights.sum())


class _WeightedAreas:
    """Every label's area when row i counts w_i times, by counting pairs (Mann and Whitney 1947)."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray) -> None:
        """Scores and truth, both (n, labels)."""
        self.order = np.argsort(scores, axis=0, kind="stable")
        self.truth = np.take_along_axis(truth, self.order, axis=0).astype(np.float64)
        ranked = np.take_along_axis(scores, self.order, axis=0)
        # Rows first..last-1 of the order have the same score as the row itself.
        columns = [ranked[:, k] for k in range(ranked.shape[1])]
        self.first = np.stack([np.searchsorted(c, c, side="left") for c in columns], axis=1)
        self.last = np.stack([np.searchsorted(c, c, side="right") for c in columns], axis=1)

    def __call__(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Areas (labels,), NaN where undefined, and the weight of each label's positives (labels,)."""
        sorted_weights = weights.astype(np.float64)[self.order]  # (n, labels)
        positive = sorted_weights * self.truth
        below = np.zeros((len(weights) + 1, self.order.shape[1]))
        np.cumsum(sorted_weights - positive, axis=0, out=below[1:])
        beaten = np.take_along_axis(below, self.first, axis=0) + np.take_along_axis(below, self.last, axis=0)
        positives, negatives = positive.sum(axis=0), below[-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return (positive * beaten).sum(axis=0) / (2 * positives * negatives), positives
