"""F1: the harmonic mean of precision and recall, averaged over labels."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric


class F1(Metric):
    """F1 = 2 tp / (2 tp + fp + fn) of each label, averaged.

    macro: the plain mean; micro: from the counts of all labels together; weighted: by each label's true rows.
    Where a row has one class, a class that is neither true nor predicted anywhere is left out of the macro mean; where
    rows have several labels, a label like that counts as 0. (torchmetrics has it so.)
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("class", "classes"), "prediction": ("class", "classes")}
    mode = "max"

    def __init__(self, *, average: Literal["macro", "micro", "weighted"] = "macro") -> None:
        self.average = average

    def features(self, answers: Answers) -> np.ndarray:
        true, said = answers.table("label"), answers.table("prediction")
        several = np.full((len(true), 1), answers["label"].ndim > 1)
        return np.concatenate([true * said, said, true, several], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        hits, said, true = np.split(sums[..., :-1], 3, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.average == "micro":
                both = (said + true).sum(-1)
                return np.asarray(np.where(both > 0, 2 * hits.sum(-1) / both, 0.0))
            each = np.where(said + true > 0, 2 * hits / (said + true), 0.0)
            counted = (said + true > 0) | (sums[..., -1:] > 0)
            weights = true if self.average == "weighted" else counted.astype(np.float64)
            total = weights.sum(-1)
            return np.asarray(np.where(total > 0, (each * weights).sum(-1) / total, 0.0))
