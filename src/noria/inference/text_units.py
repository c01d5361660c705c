"""A language model's loss in units that no tokenizer decides. Knows sums, and no model."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from noria.statistics.bootstrap import ratio_interval
from noria.statistics.estimate import Estimate


def by_text(text_losses: np.ndarray, sizes: np.ndarray, words: np.ndarray) -> dict[str, Estimate]:
    """`bits_per_byte` and `word_perplexity`, as EleutherAI's lm-evaluation-harness defines them, with intervals.

    They are sum(losses) / ln 2 / sum(bytes) and exp(sum(losses) / sum(words)); intervals are over resampled rows.
    Nothing where there is no text.

    Args:
        text_losses: in nats, of the targets of each row that are text (n,).
        sizes: bytes in UTF-8 of the text that these targets stand for (n,).
        words: how many words begin in it (n,).
    """
    found = {}
    if sizes.sum():
        found["bits_per_byte"] = replace(ratio_interval(text_losses / math.log(2), sizes), unit="bits per byte")
    if words.sum():
        per_word = ratio_interval(text_losses, words)
        value, low, high = _exp(per_word.value), _exp(per_word.low), _exp(per_word.high)
        found["word_perplexity"] = replace(per_word, value=value, low=low, high=high, unit="per word")
    return found


def _exp(value: float) -> float:
    """exp, inf beyond what a float holds."""
    return math.exp(value) if not value > 700 else math.inf
