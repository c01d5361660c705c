"""What precision, recall and F1 over whole entities have in common: how many are right, are found, are there."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.metric.tags import entities, split, strict_entities


class Entities(Metric):
    """A number of entities: one is right where its first word, its last word and its type are (Tjong Kim Sang 2003).

    micro: from the counts of all types together; macro: the plain mean over the types that occur; any other: that
    type alone.
    A precision without any entity that is found, or a recall without any that is there, is 0, as in seqeval.

    Args:
        average: `micro`, `macro` or the name of a type.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("tags",), "prediction": ("tags",)}
    mode = "max"
    strict: ClassVar[bool] = True
    """Whether an entity has to begin with a B tag. conlleval lets one begin with I, too."""

    def __init__(self, *, average: str = "micro") -> None:
        self.average = average

    def types(self, answers: Answers) -> list[str]:
        """The types of entities, in the order of the features."""
        found = {split(label)[1] for label in answers.labels} - {""}
        return sorted(found) if self.average in ("micro", "macro") else [self.average]

    def features(self, answers: Answers) -> np.ndarray:
        """(n, 3 * types): of each row how many entities of each type are right, are found, are there."""
        types = self.types(answers)
        place = {kind: number for number, kind in enumerate(types)}
        counts = np.zeros((answers.rows, 3, max(1, len(types))))
        read = strict_entities if self.strict else entities
        for row, (true, said) in enumerate(zip(answers["label"], answers["prediction"], strict=True)):
            there, found = set(read(true)), set(read(said))
            for number, some in enumerate((there & found, found, there)):
                for *_, kind in some:
                    if kind in place:
                        counts[row, number, place[kind]] += 1
        return counts.reshape(answers.rows, -1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        right, found, there = np.split(sums, 3, axis=-1)
        if self.average == "macro":
            occurs = (found + there > 0).astype(np.float64)
            return share((self.of_counts(right, found, there) * occurs).sum(-1), occurs.sum(-1))
        return self.of_counts(right.sum(-1), found.sum(-1), there.sum(-1))

    @abstractmethod
    def of_counts(self, right: np.ndarray, found: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The number (...) of counts (...)."""

    def undefined(self, answers: Answers) -> str:
        if not self.types(answers):
            return "these tags make up no entities: metric=[token_accuracy] measures tags"
        return ""


def share(some: np.ndarray, of: np.ndarray) -> np.ndarray:
    """`some` of `of`; 0 where there are none."""
    return np.asarray(np.where(of > 0, some / np.maximum(of, 1e-300), 0.0))
