"""Where the relevant documents of a query stand in a ranking, also where several documents have the same score.

Documents of equal score have no order. What a metric says of them is the expected value over all their orders (McSherry
and Najork 2008): a search that scores everything alike gets no credit for the order in which documents are stored.
Knows no search.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio


class Ranked(NamedTuple):
    """The relevant documents of one query, those that were not found too.

    Args:
        grades: (documents,), how relevant each one is; above 0.
        above: (documents,), how many documents have a higher score; inf for one that was not found.
        tied: (documents,), how many have the same score, itself included.
    """

    grades: np.ndarray
    above: np.ndarray
    tied: np.ndarray


class Group(NamedTuple):
    """Documents of the same score.

    Args:
        above: how many documents have a higher score.
        tied: how many there are.
        relevant: how many of them are relevant.
    """

    above: int
    tied: int
    relevant: int


def groups(ranked: Ranked) -> list[Group]:
    """The groups in which relevant documents were found, the highest score first."""
    above, first, counts = np.unique(ranked.above, return_index=True, return_counts=True)
    tied = ranked.tied[first]
    found = np.isfinite(above)
    return [Group(int(a), int(t), int(n)) for a, t, n in zip(above[found], tied[found], counts[found], strict=True)]


class Ranking(Metric):
    """The mean over queries of a number that says how well each one's relevant documents are ranked.

    A query without relevant documents counts for nothing: the metric has no value for it.

    Args:
        k: how many of the first documents count; None: all.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grades": ("ranks",), "above": ("ranks",), "tied": ("ranks",)}
    mode = "max"
    shape = "mean"

    def __init__(self, k: int | None) -> None:
        self._k = k

    @abstractmethod
    def of_query(self, ranked: Ranked) -> float:
        """The number of a query that has relevant documents."""

    def signature(self, answers: Answers) -> str:
        return "" if self._k is None else f"k:{self._k}"

    def features(self, answers: Answers) -> np.ndarray:
        found = of_rows(np.zeros(answers.rows))
        for row, ranked in enumerate(queries(answers)):
            found[row] = (self.of_query(ranked), 1) if len(ranked.grades) else 0
        return found

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def undefined(self, answers: Answers) -> str:
        return "" if any(len(ranked.grades) for ranked in queries(answers)) else "no query has a relevant document"


def queries(answers: Answers) -> Iterator[Ranked]:
    """The relevant documents of each query."""
    for grades, above, tied in zip(answers["grades"], answers["above"], answers["tied"], strict=True):
        yield Ranked(np.asarray(grades, np.float64), np.asarray(above, np.float64), np.asarray(tied, np.int64))
