"""ROUGE of generated texts against references, by Google's rouge-score."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.metric.bleu import library


class Rouge(Metric):
    """The mean over rows of ROUGE's F1 (Lin 2004).

    Args:
        variant: of ROUGE, as rouge-score names it.

    Raises:
        UserError: rouge-score is not installed.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text",), "response": ("text",)}
    mode = "max"
    shape = "mean"

    def __init__(self, *, variant: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rougeL") -> None:
        self._variant = variant
        self._scorer = library("rouge_score.rouge_scorer", "rouge-score").RougeScorer([variant])

    def features(self, answers: Answers) -> np.ndarray:
        pairs = zip(answers["response"], answers["reference"], strict=True)
        return of_rows(np.array([self._scorer.score(true, said)[self._variant].fmeasure for said, true in pairs]))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
