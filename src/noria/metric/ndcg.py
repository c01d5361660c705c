"""nDCG: how near a ranking is to the best one, where documents are relevant by degrees."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from annotated_types import Gt

from noria.metric.answers import Answers
from noria.metric.ranks import Ranked, Ranking


def ndcg(ranked: Ranked, k: int | None) -> float:
    """The discounted cumulative gain over that of the best order: a document of grade g at rank r gains
    g / log2(r + 1) (Järvelin and Kekäläinen 2002, with trec_eval's discount)."""
    found = np.isfinite(ranked.above)
    above, tied = ranked.above[found].astype(np.int64), ranked.tied[found]
    last = int(max((above + tied).max(initial=0), len(ranked.grades)))
    last = last if k is None else min(last, k)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, last + 2)))])  # sums of the first 0, 1, …
    each = (discounts[np.minimum(above + tied, last)] - discounts[np.minimum(above, last)]) / tied
    best = np.sort(ranked.grades)[::-1][:last]
    return float((ranked.grades[found] * each).sum() / (best * np.diff(discounts)[: len(best)]).sum())


class NDCG(Ranking):
    """nDCG, the mean over queries.

    Args:
        k: how many of the first documents count; None: all.
        graded: grades count as they are; False: every relevant document counts as much as any other.
    """

    def __init__(self, *, k: Annotated[int, Gt(0)] | None = 10, graded: bool = True) -> None:
        super().__init__(k)
        self._graded = graded

    def signature(self, answers: Answers) -> str:
        return f"{super().signature(answers)}{'' if self._graded else '|grades:binary'}".lstrip("|")

    def of_query(self, ranked: Ranked) -> float:
        return ndcg(ranked if self._graded else ranked._replace(grades=np.ones(len(ranked.grades))), self._k)
