"""Documents in the order of their scores, of one search or of several together. Knows no text and no vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

CONSTANT = 60  # Cormack et al. 2009, Reciprocal Rank Fusion, section 2
NOISE = 1e-6  # of a sum in fp32: scores that differ by less, relative to the highest, are equal


class Ranking(NamedTuple):
    """What was found for a query, the highest score first.

    Args:
        documents: (n,), their numbers.
        scores: (n,), float64.
        passages: (n,), the number of each one's best passage.
    """

    documents: np.ndarray
    scores: np.ndarray
    passages: np.ndarray

    def first(self, count: int) -> Ranking:
        return Ranking(*(part[:count] for part in self))


def of_documents(passages: np.ndarray, scores: np.ndarray, owners: np.ndarray, count: int) -> Ranking:
    """The documents by their best passages.

    Args:
        passages: (n,), the numbers of what was found.
        scores: (n,), of these.
        owners: of every passage its document.
        count: documents at most.
    """
    order = np.argsort(-scores, kind="stable")
    documents, first = np.unique(owners[passages[order]], return_index=True)
    best = order[first]
    place = np.lexsort((documents, -scores[best]))[:count]
    return Ranking(documents[place], scores[best][place].astype(np.float64), passages[best][place])


def fused(rankings: Sequence[Ranking], count: int) -> Ranking:
    """Reciprocal rank fusion: a document's score is the sum of 1 / (60 + its rank) over the rankings that have it.

    Documents of equal score share the mean of their ranks, whatever order they came in. The passage is that of the
    ranking in which the document stands highest.
    """
    sums: dict[int, float] = {}
    best: dict[int, tuple[float, int]] = {}
    for one in rankings:
        ranks = rankdata(-_level(one.scores), method="average")
        for document, rank, passage in zip(one.documents.tolist(), ranks.tolist(), one.passages.tolist(), strict=True):
            sums[document] = sums.get(document, 0.0) + 1 / (CONSTANT + rank)
            best[document] = min(best.get(document, (np.inf, -1)), (rank, passage))
    documents = np.array(list(sums), np.int64)
    scores = np.array([sums[one] for one in sums])
    place = np.lexsort((documents, -scores))[:count]
    found = np.array([best[int(one)][1] for one in documents[place]], np.int64)
    return Ranking(documents[place], scores[place], found)


def relevant_ranks(ranking: Ranking, relevant: Sequence[int]) -> tuple[list[float], list[int]]:
    """For each relevant document how many have a higher score, and how many the same, as `noria.metric.ranks` reads
    them; infinity for one that was not found."""
    scores = _level(ranking.scores)
    where = {document: place for place, document in enumerate(ranking.documents.tolist())}
    above, tied = [], []
    for document in relevant:
        place = where.get(document)
        above.append(float((scores > scores[place]).sum()) if place is not None else float("inf"))
        tied.append(int((scores == scores[place]).sum()) if place is not None else 1)
    return above, tied


def _level(scores: np.ndarray) -> np.ndarray:
    """Scores of which those that differ by rounding alone are the same. They fall."""
    if not len(scores):
        return scores
    steps = -np.diff(scores) > NOISE * max(abs(float(scores[0])), 1e-12)
    groups = np.concatenate([[0], np.cumsum(steps)])
    return -groups.astype(np.float64)
