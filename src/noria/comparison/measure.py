"""A metric as a function of sums over rows, which is what makes thousands of resamples cheap.

A metric is a value of the column sums of the rows' features (n, k): a resample in which row i stands w_i times has the
sums w @ features. Knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.comparison.answers import Answers, Sheet

Features = Callable[[Sheet, Answers], np.ndarray]
Value = Callable[[np.ndarray], np.ndarray]

RIGHT, MEAN, SUMS = "right or wrong", "mean", "sums"


@dataclass(frozen=True)
class Measure:
    """How one metric is computed.

    Args:
        mode: which way is better.
        columns: of `Answers` that it looks at.
        form: `right or wrong` (features zeros and ones, a one), `mean` (a number of each row, a one) or `sums`.
        features: (n, k) float64 of a run.
        value: of sums (..., k), an array (...).
    """

    name: str
    mode: str
    columns: tuple[str, ...]
    form: str
    features: Features
    value: Value


Maker = Callable[[str, Mapping[str, Any]], Measure]
"""Makes a measure from a metric's name and its options in the config."""


def ratio(sums: np.ndarray) -> np.ndarray:
    """The first column over the second; NaN where that is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def of_rows(values: np.ndarray) -> np.ndarray:
    """Features (n, 2) of a mean over rows."""
    return np.stack([np.asarray(values, dtype=np.float64), np.ones(len(values))], axis=1)


def given(part: np.ndarray | None) -> np.ndarray:
    assert part is not None, "the measure asks for a column that it has not named"
    return part
