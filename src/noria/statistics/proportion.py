"""The interval of a proportion such as an accuracy.

Knows nothing of what was counted.
"""

from __future__ import annotations

import math

from noria.statistics.estimate import Estimate
from noria.statistics.resample import check_confidence


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """`successes` out of `n` independent trials, with Wilson's score interval.

    It stays inside [0, 1] and is sensible for small `n` and at 0 and 1
    (Wilson 1927; recommended by Brown, Cai and DasGupta 2001).

    The formula as Newcombe (1998, Statistics in Medicine 17, method 3) writes it, and `scipy.stats.binomtest` has it;
    that one computes a p-value first, which takes a thousand times as long.

    Raises:
        ValueError: `n` is not positive, `successes` is not between 0 and `n`, or a confidence outside (0, 1).
    """
    # Kept out of the module's import: scipy.special takes a while to load.
    from scipy.special import ndtri

    if n < 1:
        raise ValueError(f"a proportion needs at least one trial, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n={n}, got {successes}")
    check_confidence(confidence)
    z, share = float(ndtri(0.5 + 0.5 * confidence)), successes / n
    scale = 2 * (n + z**2)
    center = (2 * n * share + z**2) / scale
    half = z / scale * math.sqrt(4 * n * share * (1 - share) + z**2)
    low, high = 0.0 if successes == 0 else center - half, 1.0 if successes == n else center + half
    return Estimate(share, low, high, n, "wilson", confidence)
