"""MAP: the precision at each relevant document."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from noria.metric.ranks import Ranked, Ranking, groups


def average_precision(ranked: Ranked, k: int | None) -> float:
    """The sum over the relevant documents among the first k of the precision at each one's rank, over the number of all
    relevant ones (Buckley and Voorhees 2000).

    If the j-th of t documents of equal score, m of them relevant, is relevant, then (m - 1)(j - 1)/(t - 1) of those
    before it are, on average.
    """
    total, before = 0.0, 0
    for above, tied, relevant in groups(ranked):
        places = np.arange(1, tied + 1 if k is None else max(min(tied, k - above), 0) + 1)
        up_to = before + 1 + (relevant - 1) * (places - 1) / max(tied - 1, 1)
        total += relevant / tied * float((up_to / (above + places)).sum())
        before += relevant
    return total / len(ranked.grades)


class MAP(Ranking):
    """The mean over queries of the average precision.

    Args:
        k: how many of the first documents count; None: all.
    """

    def __init__(self, *, k: Annotated[int, Gt(0)] | None = None) -> None:
        super().__init__(k)

    def of_query(self, ranked: Ranked) -> float:
        return average_precision(ranked, self._k)
