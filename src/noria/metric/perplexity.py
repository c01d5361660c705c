"""Perplexity: how many tokens the model hesitates between, on average.

Knows nothing of the model or of what the tokens are.
"""

from __future__ import annotations

import math

from torch import Tensor

from noria.metric.base import Metric


class Perplexity(Metric):
    """exp of the mean loss over all targets (Jelinek et al. 1977), not over rows: long rows count with their length.

    Scores of n rows are the mean losses of their targets (n,), labels the numbers of their targets (n,).
    """

    kinds = ("causal_lm",)
    mode = "min"

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        mean = float((prepared * labels).sum() / labels.sum())
        return math.exp(mean) if mean < 700 else math.inf  # beyond what a float holds
