"""chrF of generated texts against references: how many runs of characters they share."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt

from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.metric.references import RESPONSE, references


class Chrf(Metric):
    """chrF of a whole set (Popović 2015), as sacrebleu computes it by default (chrF2): the mean precision and recall of
    runs of 1 to 6 characters, blanks left out, recall counting twice as much.

    Of several references each row takes the one that gives it the highest chrF.

    Args:
        order: the longest run of characters.
        beta: how much more recall counts than precision.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text", "texts"), "response": ("text",)}
    mode = "max"

    def __init__(self, *, order: Annotated[int, Gt(0)] = 6, beta: Annotated[int, Gt(0)] = 2) -> None:
        self._order, self._beta = order, beta

    def signature(self, answers: Answers) -> str:
        most = {len(texts) for texts in references(answers)}
        count = most.pop() if len(most) == 1 else "var"
        return f"nrefs:{count}|case:mixed|eff:yes|nc:{self._order}|nw:0|space:no|chrF{self._beta}"

    def features(self, answers: Answers) -> np.ndarray:
        return np.array(
            [self._counts(said, true) for said, true in zip(answers[RESPONSE], references(answers), strict=True)]
        )

    def value(self, sums: np.ndarray) -> np.ndarray:
        said, true, both = (sums[..., part::3] for part in range(3))  # each (..., order)
        there = (said > 0) & (true > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision = np.where(there, both / said, 0.0).sum(axis=-1)
            recall = np.where(there, both / true, 0.0).sum(axis=-1)
            count = np.maximum(there.sum(axis=-1), 1)
            precision, recall = precision / count, recall / count
            square = self._beta**2
            found = 100 * (1 + square) * precision * recall / (square * precision + recall)
        return np.where(precision + recall > 0, found, 0.0)

    def _counts(self, said: str, true: list[str]) -> np.ndarray:
        """For each order how many runs the answer has, the reference has, and both: (3 * order,)."""
        ours = self._runs(said)
        each = [self._against(ours, self._runs(one)) for one in true]
        return each[int(np.argmax([self.value(one) for one in each]))]

    def _runs(self, text: str) -> list[Counter[str]]:
        text = "".join(text.split())
        return [Counter(text[at : at + n] for at in range(len(text) - n + 1)) for n in range(1, self._order + 1)]

    def _against(self, ours: list[Counter[str]], theirs: list[Counter[str]]) -> np.ndarray:
        found = []
        for own, other in zip(ours, theirs, strict=True):
            # a reference that has no runs of that length says nothing of the answer's
            found += [own.total() if other else 0, other.total(), (own & other).total()]
        return np.array(found, np.float64)
