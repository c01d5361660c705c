"""Perplexity: how many tokens the model hesitates between, on average.

Knows nothing of the model or of what the tokens are.
"""

from __future__ import annotations

import math

from torch import Tensor

from noria.metric.base import Metric


class Perplexity(Metric):
    """exp of the mean loss over all targets (Jelinek et al. 1977), not over rows: long rows count with their length.

    It is a number per token: another tokenizer cuts the same text into other tokens, so that the two numbers cannot be
    compared. `bits_per_byte` and `word_perplexity`, which stand beside it in what is measured, can.

    Scores of n rows are the mean losses of their targets (n,), labels the numbers of their targets (n,).
    """

    kinds = ("causal_lm",)
    mode = "min"

    @property
    def unit(self) -> str:
        return "per token"

    def compute(self, prepared: Tensor, labels: Tensor) -> float:
        mean = float((prepared * labels).sum() / labels.sum())
        return math.exp(mean) if mean < 700 else math.inf  # beyond what a float holds
