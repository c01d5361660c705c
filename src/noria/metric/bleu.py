"""BLEU of generated texts against references, by sacrebleu."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from noria.common.errors import UserError
from noria.metric.answers import Answers
from noria.metric.base import Metric


class Bleu(Metric):
    """BLEU of a whole set (Papineni et al. 2002) out of each row's counts, as sacrebleu computes it by default.

    Raises:
        UserError: sacrebleu is not installed.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"reference": ("text",), "response": ("text",)}
    mode = "max"

    def __init__(self) -> None:
        self._scorer = library("sacrebleu.metrics", "sacrebleu").BLEU(effective_order=True)

    def features(self, answers: Answers) -> np.ndarray:
        pairs = zip(answers["response"], answers["reference"], strict=True)
        found = [self._scorer.sentence_score(said, [true]) for said, true in pairs]
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


def library(module: str, package: str) -> Any:
    """A library that only this metric needs.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise UserError(f"This metric needs a package that is not installed: pip install {package}") from None
