"""The interval of a proportion such as an accuracy.

Knows nothing of what was counted.
"""

from __future__ import annotations

from noria.statistics.estimate import Estimate


def wilson(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """`successes` out of `n` independent trials, with Wilson's score interval.

    It stays inside [0, 1] and is sensible for small `n` and at 0 and 1
    (Wilson 1927; recommended by Brown, Cai and DasGupta 2001).

    Raises:
        ValueError: `n` is not positive, or `successes` is not between 0 and `n`.
    """
    # Kept out of the module's import: scipy.stats takes a second to load.
    from scipy.stats import binomtest

    if n < 1:
        raise ValueError(f"a proportion needs at least one trial, got n={n}")
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n={n}, got {successes}")
    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return Estimate(successes / n, float(interval.low), float(interval.high), n, "wilson", confidence)
