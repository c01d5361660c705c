"""Exact match: the share of answers that are a right one, word for word."""

from __future__ import annotations

from noria.metric.answer_text import Normalization
from noria.metric.answers import Answers
from noria.metric.best_answer import BestAnswer
from noria.statistics.estimate import Estimate
from noria.statistics.proportion import wilson


class ExactMatch(BestAnswer):
    """The share of answers that are one of the right ones, with Wilson's interval.

    Args:
        normalization: what makes no difference: `squad`, as that data set's evaluation has it, or `mlqa`, which knows
            languages.
        language: of the answers, for `mlqa`.
    """

    shape = "right or wrong"

    def __init__(self, *, normalization: Normalization = "squad", language: str = "en") -> None:
        super().__init__(normalization, language)

    def agreement(self, said: list[str], true: list[str]) -> float:
        return float(said == true)

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        return wilson(int(self.features(answers)[:, 0].sum()), answers.rows)
