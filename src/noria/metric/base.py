"""What every metric is: a number from scores and labels, and that number with its interval.

Knows nothing of models, batches or logging: it is given all rows of an evaluation at once.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from noria.common.errors import UserError
from noria.statistics.bootstrap import bootstrap
from noria.statistics.estimate import Estimate

THRESHOLD = 0.5
"""A multi-label row has every label whose probability lies above this."""

ROUNDING = 1e-3
"""How far a probability may lie outside [0, 1] (half precision) before it is taken for something else."""


class Metric:
    """One number for a whole evaluation. A subclass sets `kinds` and `mode` and gives `compute`.

    Scores and labels of n rows, by kind:

    - single_label: probabilities (n, num_labels); label numbers (n,)
    - multi_label: probabilities (n, num_labels); zeros and ones (n, num_labels)
    - regression: predicted values (n,); true values (n,)
    - causal_lm: the mean loss of each row's targets (n,); how many targets it has (n,)
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    mode: ClassVar[Literal["max", "min"]] = "max"

    def __init__(self, kind: str, num_labels: int) -> None:
        if kind not in self.kinds:
            raise UserError(
                f"metric {type(self).__name__} does not fit the task: it measures {' and '.join(self.kinds)},"
                f" and the task is {kind}. Take it out of metric=[...] or name another."
            )
        self.kind = kind
        self.num_labels = num_labels

    @property
    def unit(self) -> str:
        """Of what it is a number, or for each of what; empty where its name says it."""
        return ""

    def __call__(self, scores: Tensor, labels: Tensor) -> float:
        """The metric over all rows; NaN where it is undefined, and where a score is NaN.

        Raises:
            ValueError: no rows, or scores and labels that do not look as the class describes them.
        """
        scores, labels = self._checked(scores, labels)
        if bool(scores.isnan().any()):
            return math.nan
        return self.compute(self.prepare(scores), labels)

    def estimate(self, scores: Tensor, labels: Tensor, *, resamples: int = 1000, seed: int = 0) -> Estimate:
        """The metric over all rows with its 95 % interval; raises as `__call__` does."""
        scores, labels = self._checked(scores, labels)
        if bool(scores.isnan().any()):
            return Estimate(math.nan, math.nan, math.nan, len(labels), "none: a score is NaN", unit=self.unit)
        return replace(self.interval(self.prepare(scores), labels, resamples, seed), unit=self.unit)

    def undefined(self, scores: Tensor, labels: Tensor) -> str:
        """Why the metric is not defined on these rows, in words for a message; empty where that is not the reason."""
        return ""

    def prepare(self, scores: Tensor) -> Tensor:
        """What `compute` needs of the scores, made once for all resamples: here the scores themselves."""
        return scores

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        """The metric of checked rows."""
        raise NotImplementedError

    def interval(self, prepared: Tensor, labels: Tensor, resamples: int, seed: int) -> Estimate:
        """The metric of checked rows with its interval: here a bootstrap over the rows."""

        def statistic(rows: np.ndarray) -> float:
            index = torch.from_numpy(rows)
            return self.compute(prepared[index], labels[index])

        return bootstrap(statistic, len(labels), resamples=resamples, seed=seed)

    def decide(self, scores: Tensor) -> Tensor:
        """Probabilities (n, num_labels) to label numbers (n,), or for multi_label to zeros and ones."""
        return scores.argmax(dim=1) if self.kind == "single_label" else (scores > THRESHOLD).long()

    def _checked(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both on the CPU and of one type, after a look at shapes and ranges."""
        scores, labels = scores.detach().cpu(), labels.detach().cpu()
        rows = len(labels)
        if rows == 0:
            raise ValueError("a metric needs at least one row, got none")
        if self.kind in ("regression", "causal_lm"):
            self._check_shapes(scores, labels, (rows,), (rows,))
            return scores.double(), labels.double()

        wide = (rows, self.num_labels)
        self._check_shapes(scores, labels, wide, (rows,) if self.kind == "single_label" else wide)
        highest = self.num_labels - 1 if self.kind == "single_label" else 1
        labels = labels.long()
        if int(labels.min()) < 0 or int(labels.max()) > highest:
            raise ValueError(f"labels must lie in 0..{highest}, got {int(labels.min())}..{int(labels.max())}")
        scores = scores.float()
        if bool(((scores < -ROUNDING) | (scores > 1 + ROUNDING)).any()):
            raise ValueError(f"scores must be probabilities, got {float(scores.min())}..{float(scores.max())}")
        # torchmetrics takes scores a hair outside [0, 1] for logits and squashes all of them.
        return scores.clamp(0, 1), labels

    def _check_shapes(
        self, scores: Tensor, labels: Tensor, scores_shape: tuple[int, ...], labels_shape: tuple[int, ...]
    ) -> None:
        for name, tensor, shape in (("scores", scores, scores_shape), ("labels", labels, labels_shape)):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"{self.kind} {name} must have shape {shape}, got {tuple(tensor.shape)}")


def constant(values: Tensor) -> bool:
    """Whether all values (n,) are the same, so that no correlation is defined."""
    return bool(values.min() == values.max())


def no_correlation(scores: Tensor, labels: Tensor) -> str:
    """Why two columns (n,) have no correlation, in words; empty where they have one, or hold NaN."""
    for name, values in (("labels", labels), ("predictions", scores)):
        if constant(values):
            return f"the {name} of all {len(values)} rows are the same ({float(values[0]):g})"
    return ""


def trial_scores(kind: str, labels: Tensor, num_labels: int) -> Tensor:
    """Scores of the shape that a kind has (see `Metric`), to try a metric on labels (n, …) before there is a model.

    They are drawn with a fixed seed and are never all the same, so that a metric without a value has none because of
    the labels.
    """
    drawn = torch.rand(
        (len(labels), max(1, num_labels)), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    if kind == "single_label":
        return drawn / drawn.sum(1, keepdim=True)
    return drawn if kind == "multi_label" else drawn[:, 0]
