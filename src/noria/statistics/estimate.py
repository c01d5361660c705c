"""A measured number with its confidence interval.

Knows nothing of how the interval was made, beyond the name of the method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """`value` measured on `n` rows, with the two-sided `confidence` interval from `low` to `high`.

    `low` and `high` are NaN where no interval can be given (one row, or a mostly undefined statistic). `unit` says
    what the value is a number of, or for each of what; it is empty where the name says it. `signature` says with which
    settings it was computed, where numbers of other settings bear the same name.
    """

    value: float
    low: float
    high: float
    n: int
    method: str
    confidence: float = 0.95
    unit: str = ""
    signature: str = ""

    def as_dict(self) -> dict[str, float | int | str | None]:
        """The fields as plain values for a record; NaN becomes None, because JSON has no NaN. What is empty is left
        out."""
        told = {name: value for name in ("unit", "signature") if (value := getattr(self, name))}
        return {
            "value": _or_none(self.value),
            "low": _or_none(self.low),
            "high": _or_none(self.high),
            "n": self.n,
            "method": self.method,
            "confidence": self.confidence,
            **told,
        }

    def __str__(self) -> str:
        """`0.848 [0.826, 0.867]`: two digits of the interval's width, at least three decimals below 10."""
        digits = self._decimals()
        if math.isnan(self.low) or math.isnan(self.high):
            return f"{self.value:.{digits}f} [no interval]"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"

    def _decimals(self) -> int:
        sizes = [abs(number) for number in (self.value, self.low, self.high) if math.isfinite(number)]
        largest = max(sizes, default=0.0)
        least = 3 if largest < 10 else 1 if largest < 1000 else 0
        width = self.high - self.low
        if not math.isfinite(width) or width <= 0:
            return least
        return min(max(least, 1 - math.floor(math.log10(width))), 12)


def _or_none(number: float) -> float | None:
    return None if math.isnan(number) else number
