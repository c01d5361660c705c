"""Pearson's correlation between true and predicted values."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric


class Pearson(Metric):
    """Pearson's correlation between true and predicted values, in [-1, 1].

    NaN when either is the same for all rows: then no correlation is defined.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"label": ("number",), "prediction": ("number",)}
    mode = "max"

    def features(self, answers: Answers) -> np.ndarray:
        true, said = (standard(answers[name]) for name in ("label", "prediction"))
        return np.stack([np.ones(len(true)), true, said, true * true, said * said, true * said], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        rows, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        spread = (rows * xx - x * x) * (rows * yy - y * y)
        # A resample of one value many times has a spread of rounding errors only.
        known = spread > 1e-20 * (rows * xx) * (rows * yy)
        return np.where(known, (rows * xy - x * y) / np.sqrt(np.where(known, spread, 1.0)), np.nan)

    def undefined(self, answers: Answers) -> str:
        return no_correlation(answers)


def standard(values: np.ndarray) -> np.ndarray:
    """Values less their mean, over their standard deviation; zeros where all are the same."""
    values = values.astype(np.float64)
    if values.min() == values.max():
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / values.std())


def no_correlation(answers: Answers) -> str:
    """Why labels and predictions have no correlation, in words; empty where they have one."""
    for name, column in (("labels", "label"), ("predictions", "prediction")):
        values = answers[column]
        if values.min() == values.max():
            return f"the {name} of all {len(values)} rows are the same ({float(values[0]):g})"
    return ""
