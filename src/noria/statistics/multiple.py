"""P-values of many comparisons, corrected for their number."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Method = Literal["holm", "fdr_bh", "none"]


def adjusted(p: np.ndarray, method: Method) -> np.ndarray:
    """The p-values (m,) adjusted, so that each may be held against the level itself.

    `holm` keeps the chance of one false claim or more below the level (Holm 1979), `fdr_bh` the expected share of
    false claims among all claims (Benjamini and Hochberg 1995). NaN stays NaN and does not count as a comparison.

    Raises:
        ValueError: another shape, a p-value outside [0, 1], or another method.
    """
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    found = np.array(p, dtype=np.float64)
    if found.ndim != 1:
        raise ValueError(f"p-values need shape (m,), got {found.shape}")
    counted = ~np.isnan(found)
    if ((found[counted] < 0) | (found[counted] > 1)).any():
        raise ValueError("p-values must be between 0 and 1")
    if method == "none" or not counted.any():
        return found

    # Kept out of the module's import: statsmodels takes a second to load.
    from statsmodels.stats.multitest import multipletests

    found[counted] = multipletests(found[counted], method=method)[1]
    return found
