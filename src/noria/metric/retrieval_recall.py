"""Recall of a search: how many of the relevant documents are among the first."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from noria.metric.ranks import Ranked, Ranking


def recall(ranked: Ranked, k: int | None) -> float:
    """The share of the relevant documents that is among the first k, its expected value at equal scores."""
    above, tied = ranked.above[np.isfinite(ranked.above)], ranked.tied[np.isfinite(ranked.above)]
    within = np.ones(len(above)) if k is None else np.clip((k - above) / tied, 0, 1)
    return float(within.sum() / len(ranked.grades))


class RetrievalRecall(Ranking):
    """The recall of a search, the mean over queries.

    Args:
        k: how many of the first documents count; None: all that were found.
    """

    def __init__(self, *, k: Annotated[int, Gt(0)] | None = 100) -> None:
        super().__init__(k)

    def of_query(self, ranked: Ranked) -> float:
        return recall(ranked, self._k)
