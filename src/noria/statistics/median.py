"""The interval of a median. Knows nothing of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from noria.statistics.estimate import Estimate
from noria.statistics.resample import check_confidence


def median(values: Sequence[float] | np.ndarray, confidence: float = 0.95) -> Estimate:
    """The median of independent values, with the interval between two of them that holds for any distribution.

    How many values lie below the true median is binomial(n, 1/2) (Thompson 1936; Conover 1999, section 3.2). Too few
    values for the confidence have no interval: below 6 for 0.95.

    Raises:
        ValueError: no values, or a confidence outside (0, 1).
    """
    from scipy.special import bdtr  # takes a while to load

    ordered = np.sort(np.asarray(values, np.float64))
    if not len(ordered):
        raise ValueError("a median needs at least one value")
    check_confidence(confidence)
    fewer = bdtr(np.arange(len(ordered)), len(ordered), 0.5)  # the chance of so many below, or fewer
    place = int(np.sum(fewer <= (1 - confidence) / 2))  # of the lower end, counted from 1
    low, high = (ordered[place - 1], ordered[-place]) if place else (math.nan, math.nan)
    return Estimate(float(np.median(ordered)), float(low), float(high), len(ordered), "order statistics", confidence)
