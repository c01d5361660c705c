"""MRR: how soon the first relevant document comes."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from noria.metric.ranks import Ranked, Ranking, groups


def reciprocal_rank(ranked: Ranked, k: int | None) -> float:
    """1 over the rank of the first relevant document; 0 where none is among the first k.

    Among t documents of equal score, m of them relevant, the first relevant one is the j-th with the probability
    m / (t - j + 1) if none of those before is.
    """
    found = groups(ranked)
    if not found:
        return 0.0
    above, tied, relevant = found[0]
    places = np.arange(1, tied - relevant + 2)
    here = relevant / (tied - places + 1)
    before = np.concatenate([[1.0], np.cumprod(1 - here)[:-1]])
    counts = np.ones(len(places), bool) if k is None else above + places <= k
    return float((before * here / (above + places))[counts].sum())


class MRR(Ranking):
    """The mean reciprocal rank over queries (Voorhees 1999).

    Args:
        k: how many of the first documents count; None: all.
    """

    def __init__(self, *, k: Annotated[int, Gt(0)] | None = 10) -> None:
        super().__init__(k)

    def of_query(self, ranked: Ranked) -> float:
        return reciprocal_rank(ranked, self._k)
