"""BLEU of generated texts against references, by sacrebleu."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.metric.references import RESPONSE, library, references


class Bleu(Metric):
    """BLEU of a whole set (Papineni et al. 2002) out of each row's counts, as sacrebleu computes it (Post 2018).

    Numbers of other settings differ by many points: the signature in the record says which these are.

    Args:
        lowercase: capitals do not count.
        tokenize: how sacrebleu cuts texts into words; `none`: at blanks, for texts that are cut already.

    Raises:
        UserError: sacrebleu is not installed.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text", "texts"), "response": ("text",)}
    mode = "max"

    def __init__(
        self,
        *,
        lowercase: bool = False,
        tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a",
    ) -> None:
        made = library("sacrebleu.metrics", "sacrebleu").BLEU
        self._scorer = made(effective_order=True, lowercase=lowercase, tokenize=tokenize)
        self._whole = made(lowercase=lowercase, tokenize=tokenize)

    def signature(self, answers: Answers) -> str:
        most = {len(texts) for texts in references(answers)}
        self._whole.corpus_score([""], [[""]])  # it makes its signature when it is first used
        found = str(self._whole.get_signature())
        return found.replace("nrefs:1", f"nrefs:{most.pop() if len(most) == 1 else 'var'}")

    def features(self, answers: Answers) -> np.ndarray:
        pairs = zip(answers[RESPONSE], references(answers), strict=True)
        found = [self._scorer.sentence_score(said, true) for said, true in pairs]
        return np.array([[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in found], dtype=np.float64)

    def value(self, sums: np.ndarray) -> np.ndarray:
        said, true = sums[..., 0], sums[..., 1]
        right, total = np.split(sums[..., 2:], 2, axis=-1)
        misses = np.cumsum(right == 0, axis=-1)  # sacrebleu's smoothing: each order without a hit counts half the last
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(right == 0, 0.5**misses / total, right / total)
            short = np.where(said < true, np.exp(1 - true / said), 1.0)
            found = 100 * short * np.exp(np.log(share).mean(axis=-1))
        return np.where((right.sum(axis=-1) == 0) | (total.min(axis=-1) == 0), 0.0, found)
