"""Perplexity: how many tokens the model hesitates between, on average."""

from __future__ import annotations

import numpy as np

from noria.metric.base import exp, ratio
from noria.metric.token_loss import TokenLoss


class Perplexity(TokenLoss):
    """exp of the mean loss over all targets (Jelinek et al. 1977), not over rows: long rows count with their length.

    It is a number per token: another tokenizer cuts the same text into other tokens, so that the two numbers cannot be
    compared. `bits_per_byte` and `word_perplexity`, which stand beside it in what is measured, can.
    """

    unit = "per token"

    def value(self, sums: np.ndarray) -> np.ndarray:
        return exp(ratio(sums))
