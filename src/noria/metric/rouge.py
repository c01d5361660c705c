"""ROUGE of generated texts against references, by Google's rouge-score."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.metric.references import RESPONSE, library, references


class Rouge(Metric):
    """The mean over rows of ROUGE's F1 (Lin 2004), from 0 to 1.

    Args:
        variant: of ROUGE, as rouge-score names it.
        over: what counts where a row has several references: the highest of their numbers, or the mean.

    Raises:
        UserError: rouge-score is not installed.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text", "texts"), "response": ("text",)}
    mode = "max"
    shape = "mean"

    def __init__(
        self,
        *,
        variant: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rougeL",
        over: Literal["max", "mean"] = "max",
    ) -> None:
        self._variant, self._over = variant, over
        self._scorer = library("rouge_score.rouge_scorer", "rouge-score").RougeScorer([variant])

    def signature(self, answers: Answers) -> str:
        return f"{self._variant}|f1|{self._over} over references|stemmer:no|rouge-score"

    def features(self, answers: Answers) -> np.ndarray:
        found = []
        for said, true in zip(answers[RESPONSE], references(answers), strict=True):
            each = [self._scorer.score(one, said)[self._variant].fmeasure for one in true]
            found.append(max(each) if self._over == "max" else sum(each) / len(each))
        return of_rows(np.array(found))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
