"""Area under the ROC curve, one label against the rest, averaged over labels."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.statistics.bootstrap import bootstrap
from noria.statistics.estimate import Estimate


class AUROC(Metric):
    """How likely a row with the label scores above one without it (ties count half), averaged over labels.

    macro: the plain mean; weighted: by each label's true rows. A label that all rows have or none has no
    area and is left out of the mean; with no label left the metric is NaN.

    An area is no sum over rows. Its features are those of its first order: the mean over rows with the label and over
    rows without it of how many of the others each beats, what DeLong et al. (1988) take its variance from. They serve
    where thousands of runs are compared; the estimate of one run resamples the area itself.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("class", "classes"), "probabilities": ("shares",)}
    mode = "max"

    def __init__(self, *, average: Literal["macro", "weighted"] = "macro") -> None:
        self.average = average

    def features(self, answers: Answers) -> np.ndarray:
        true, scores = answers.table("label"), answers["probabilities"]
        columns = [_placed(true[:, label] > 0, scores[:, label]) for label in range(true.shape[1])]
        return np.concatenate(columns, axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        with_beaten, with_label, without_beaten, without = (sums[..., part::4] for part in range(4))
        defined = (with_label > 0) & (without > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            areas = np.where(defined, with_beaten / with_label + without_beaten / without, 0.0)
            weights = np.where(defined, with_label if self.average == "weighted" else 1.0, 0.0)
            return np.asarray((areas * weights).sum(-1) / weights.sum(-1))

    def undefined(self, answers: Answers) -> str:
        truth = answers.table("label")
        if bool((truth == truth[0]).all()):
            return f"all {len(truth)} rows have the same label, and the area compares rows with a label and without"
        return ""

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        areas_of = _WeightedAreas(answers["probabilities"], answers.table("label"))

        def statistic(rows: np.ndarray) -> float:
            areas, positives = areas_of(np.bincount(rows, minlength=answers.rows))
            defined = ~np.isnan(areas)
            weights = positives[defined] if self.average == "weighted" else np.ones(int(defined.sum()))
            return float((areas[defined] * weights).sum() / weights.sum()) if defined.any() else math.nan

        return bootstrap(statistic, answers.rows, resamples=resamples, seed=seed)


def _placed(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Features (n, 4) of one label's area; each half of it in the rows with the label and in those without."""
    placed = np.zeros((len(scores), 4))
    if not positive.any() or positive.all():
        return placed
    for column, ours, others in ((0, positive, scores[~positive]), (2, ~positive, scores[positive])):
        ordered = np.sort(others)
        below, upto = (np.searchsorted(ordered, scores[ours], side) for side in ("left", "right"))
        beaten = (below + upto) / (2 * len(ordered))
        placed[ours, column] = beaten if column == 0 else 1 - beaten
        placed[ours, column + 1] = 1
    area = placed[:, 0].sum() / positive.sum()
    placed[:, [0, 2]] -= area / 2 * placed[:, [1, 3]]
    return placed


class _WeightedAreas:
    """Every label's area when row i counts w_i times, by counting pairs (Mann and Whitney 1947). Sorts once."""

    def __init__(self, scores: np.ndarray, truth: np.ndarray) -> None:
        """Scores and truth, both (n, labels)."""
        self.order = np.argsort(scores, axis=0, kind="stable")
        self.truth = np.take_along_axis(truth, self.order, axis=0)
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
