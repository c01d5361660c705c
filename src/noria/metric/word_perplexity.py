"""A language model's loss by the words of the text: no tokenizer decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, exp, ratio
from noria.statistics.bootstrap import ratio_interval
from noria.statistics.estimate import Estimate


class WordPerplexity(Metric):
    """exp(sum(losses) / sum(words)), as EleutherAI's lm-evaluation-harness defines it; over what is text.

    NaN where there is no text.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"text_loss": ("number",), "words": ("count",)}
    mode = "min"
    unit = "per word"

    def features(self, answers: Answers) -> np.ndarray:
        return np.stack([answers["text_loss"], answers["words"].astype(np.float64)], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return exp(ratio(sums))

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        per_word = ratio_interval(*self.features(answers).T, resamples=resamples, seed=seed)
        value, low, high = (float(exp(np.asarray(end))) for end in (per_word.value, per_word.low, per_word.high))
        return replace(per_word, value=value, low=low, high=high)
