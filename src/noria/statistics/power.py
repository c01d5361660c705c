"""What a comparison can show: the smallest true difference, and the seeds that a given difference takes.

Knows variances, not where they come from.
"""

from __future__ import annotations

import math


def smallest_difference(standard_error: float, df: float = math.inf, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that a two-sided test at `alpha` shows with probability `power`, in its own units.

    The noncentrality of Student's t at which the test has that power, times the standard error (Cohen 1988, section
    2.2); with `df` infinite z(1 - alpha/2) + z(power). The chance to reject on the wrong side is left out: below 1e-4
    for a power of 0.8.

    Raises:
        ValueError: a negative standard error, `df` not positive, or `alpha` or `power` outside (0, 1).
    """
    # Kept out of the module's import: scipy.special takes a while to load.
    from scipy.special import nctdtrinc, ndtri, stdtrit

    _check(alpha, power)
    if standard_error < 0:
        raise ValueError(f"a standard error must be at least 0, got {standard_error}")
    if df <= 0:
        raise ValueError(f"df must be positive, got {df}")
    if df > 1e6:  # the same to six digits
        return float(standard_error * (ndtri(1 - alpha / 2) + ndtri(power)))
    return float(standard_error * nctdtrinc(df, 1 - power, stdtrit(df, 1 - alpha / 2)))


def seeds_needed(
    difference: float,
    seed_variance_first: float,
    seed_variance_second: float,
    example_variance: float,
    alpha: float = 0.05,
    power: float = 0.8,
    most: int = 1000,
) -> int | None:
    """The fewest seeds of each system, 2 or more, that show a true `difference` with that power.

    With S seeds each the difference has variance (first + second) / S + example variance; the first part is known to
    S - 1 degrees of freedom from each system, the second exactly (Satterthwaite 1946; 2 (S - 1) degrees where the
    two are equal and examples add nothing). More seeds do not help against the example variance: that takes rows.

    Returns:
        None where not even `most` would do, and for NaN, as the seed variance of a system with one seed is.

    Raises:
        ValueError: a negative variance, or `alpha` or `power` outside (0, 1).
    """
    _check(alpha, power)
    variances = (seed_variance_first, seed_variance_second, example_variance)
    if min(variances) < 0:
        raise ValueError(f"variances must be at least 0, got {variances}")
    # Also where something is NaN.
    if not abs(difference) > 0 or abs(difference) < smallest_difference(example_variance**0.5, math.inf, alpha, power):
        return None
    for seeds in range(2, most + 1):
        parts = [seed_variance_first / seeds, seed_variance_second / seeds]
        variance = sum(parts) + example_variance
        known = sum(part**2 for part in parts) / (seeds - 1)
        df = variance**2 / known if known > 0 else math.inf
        if abs(difference) >= smallest_difference(math.sqrt(variance), df, alpha, power):
            return seeds
    return None


def _check(alpha: float, power: float) -> None:
    for name, share in (("alpha", alpha), ("power", power)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must be between 0 and 1, got {share}")
