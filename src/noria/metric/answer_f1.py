"""F1 of short answers: how many words an answer shares with a right one."""

from __future__ import annotations

from collections import Counter

from noria.metric.answer_text import Normalization
from noria.metric.best_answer import BestAnswer


class AnswerF1(BestAnswer):
    """The mean over answers of the F1 of their words against those of the nearest right one (Rajpurkar et al. 2016).

    Args:
        normalization: what makes no difference: `squad`, as that data set's evaluation has it, or `mlqa`, which knows
            languages.
        language: of the answers, for `mlqa`.
    """

    shape = "mean"

    def __init__(self, *, normalization: Normalization = "squad", language: str = "en") -> None:
        super().__init__(normalization, language)

    def agreement(self, said: list[str], true: list[str]) -> float:
        if not said or not true:  # no answer is right where none is
            return float(said == true)
        both = (Counter(said) & Counter(true)).total()
        return 2 * both / (len(said) + len(true))
