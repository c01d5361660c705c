"""Spearman's rank correlation between true and predicted values."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, of_rows, ratio
from noria.metric.pearson import no_correlation, standard
from noria.statistics.bootstrap import bootstrap
from noria.statistics.estimate import Estimate


class Spearman(Metric):
    """Pearson's correlation of the ranks (ties have their mean rank), in [-1, 1].

    NaN when either is the same for all rows: then no correlation is defined.

    Ranks change with the rows, so it is no sum over them. Its feature is each row's influence on it (Croux and Dehon
    2010, section 2), which serves where thousands of runs are compared; the estimate of one run ranks each resample.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("number",), "prediction": ("number",)}
    mode = "max"
    shape = "mean"

    def features(self, answers: Answers) -> np.ndarray:
        true, said = (_ranks(answers[name]) / answers.rows for name in ("label", "prediction"))
        if no_correlation(answers):
            return of_rows(np.full(answers.rows, math.nan))
        correlation = float((standard(true) * standard(said)).mean())
        influence = true * said + _mean_above(true, said) + _mean_above(said, true)
        scale = 1 / max(true.std() * said.std(), 1e-12)
        return of_rows(correlation + scale * (influence - influence.mean()))

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)

    def undefined(self, answers: Answers) -> str:
        return no_correlation(answers)

    def interval(self, answers: Answers, resamples: int, seed: int) -> Estimate:
        true, said = answers["label"], answers["prediction"]

        def statistic(rows: np.ndarray) -> float:
            ranked = [standard(_ranks(values[rows])) for values in (true, said)]
            defined = all(bool(values.any()) for values in ranked)
            return float((ranked[0] * ranked[1]).mean()) if defined else math.nan

        return bootstrap(statistic, answers.rows, resamples=resamples, seed=seed)


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # kept out of the module's import: it takes a while to load

    return np.asarray(rankdata(values))


def _mean_above(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each row the mean over all rows of `second` where `first` is at least that row's, else 0."""
    order = np.argsort(-first, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(second[order])])
    return np.asarray(sums[np.searchsorted(-first[order], -first, side="right")] / len(first))
