"""Measures of generated texts against references: BLEU by sacrebleu, ROUGE by Google's rouge-score."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import numpy as np

from noria.common.errors import UserError
from noria.comparison.answers import Answers, Sheet
from noria.comparison.measure import MEAN, SUMS, Measure, given, of_rows, ratio

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
ORDERS = 4


def bleu(name: str, options: Mapping[str, Any]) -> Measure:
    """BLEU of a whole set (Papineni et al. 2002) out of each row's counts, as sacrebleu computes it by default."""
    scorer = _library("sacrebleu.metrics", "sacrebleu").BLEU(effective_order=True)

    def counts(sheet: Sheet, answers: Answers) -> np.ndarray:
        pairs = zip(given(answers.predicted), given(sheet.truth), strict=True)
        found = [scorer.sentence_score(said, [true]) for said, true in pairs]
        return np.array([[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in found], dtype=np.float64)

    def value(sums: np.ndarray) -> np.ndarray:
        said, true = sums[..., 0], sums[..., 1]
        right, total = np.split(sums[..., 2:], 2, axis=-1)
        misses = np.cumsum(right == 0, axis=-1)  # sacrebleu's smoothing: each order without a hit counts half the last
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(right == 0, 0.5**misses / total, right / total)
            short = np.where(said < true, np.exp(1 - true / said), 1.0)
            found = 100 * short * np.exp(np.log(share).mean(axis=-1))
        return np.where((right.sum(axis=-1) == 0) | (total.min(axis=-1) == 0), 0.0, found)

    return Measure(name, "max", ("predicted",), SUMS, counts, value)


def rouge(name: str, options: Mapping[str, Any]) -> Measure:
    """The mean over rows of ROUGE's F1 (Lin 2004)."""
    scorer = _library("rouge_score.rouge_scorer", "rouge-score").RougeScorer([name])

    def scores(sheet: Sheet, answers: Answers) -> np.ndarray:
        pairs = zip(given(answers.predicted), given(sheet.truth), strict=True)
        return of_rows(np.array([scorer.score(true, said)[name].fmeasure for said, true in pairs]))

    return Measure(name, "max", ("predicted",), MEAN, scores, ratio)


def _library(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise UserError(f"This metric needs a package that is not installed: pip install {package}") from None
