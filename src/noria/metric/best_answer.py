"""How far answers agree with the nearest right one, the mean over rows. Knows no way of comparing two of them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from noria.common.errors import UserError
from noria.metric.answer_text import ARTICLES, Normalization, answer_tokens
from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.metric.references import RESPONSE, references


class BestAnswer(Metric):
    """The mean over rows of the best agreement with one of the right answers, from 0 to 1.

    Where a row has no right answer, an empty answer is right.

    Args:
        normalization, language: as `noria.metric.answer_text.answer_tokens` takes them.

    Raises:
        UserError: no such language.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text", "texts"), "response": ("text",)}
    mode = "max"

    def __init__(self, normalization: Normalization, language: str) -> None:
        if language not in ARTICLES:
            raise UserError(f"language={language}: the articles of {', '.join(ARTICLES)} are known.")
        self._how = normalization, language

    @abstractmethod
    def agreement(self, said: list[str], true: list[str]) -> float:
        """How far the words of an answer and those of a right one agree, from 0 to 1."""

    def signature(self, answers: Answers) -> str:
        normalization, language = self._how
        return f"norm:{normalization}" + (f"|lang:{language}" if normalization == "mlqa" else "")

    def features(self, answers: Answers) -> np.ndarray:
        found = []
        for response, right in zip(answers[RESPONSE], references(answers), strict=True):
            said = answer_tokens(response, *self._how)
            found.append(max(self.agreement(said, answer_tokens(text, *self._how)) for text in right or [""]))
        return of_rows(np.array(found))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
