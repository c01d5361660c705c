"""F1: the harmonic mean of precision and recall, averaged over labels.

Knows nothing of how the probabilities came about.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score, multilabel_f1_score

from noria.metric.base import Metric


class F1(Metric):
    """F1 = 2 tp / (2 tp + fp + fn) of each label, averaged.

    macro: the plain mean; micro: from the counts of all labels together; weighted: by each label's true rows.
    A single_label class that is neither true nor predicted anywhere is left out of the macro mean; a
    multi_label label like that counts as 0.
    """

    kinds = ("single_label", "multi_label")
    mode = "max"

    def __init__(self, kind: str, num_labels: int, *, average: Literal["macro", "micro", "weighted"] = "macro") -> None:
        super().__init__(kind, num_labels)
        self.average = average

    def prepare(self, scores: Tensor) -> Tensor:
        return self.decide(scores)

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        f1 = multiclass_f1_score if self.kind == "single_label" else multilabel_f1_score
        return float(f1(prepared, labels, self.num_labels, average=self.average, validate_args=False))
