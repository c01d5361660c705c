"""How a comparison decides, as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from noria.common.errors import UserError

Correction = Literal["holm", "fdr_bh", "none"]


@dataclass(frozen=True)
class Rules:
    """How a comparison decides.

    Args:
        margin: how much worse is still "no worse", in units of the metric.
        alpha: how often "better" or "worse" may be said at most where nothing differs; and, by the same intervals, how
            often "no worse" of what is worse by the margin (`statistics.no_worse`).
        correction: for many comparisons.
        resamples, seed: of the bootstrap.
        effect: the difference that seeds are counted for; None: the one that was found.
    """

    margin: float = 0.01
    alpha: float = 0.05
    correction: Correction = "holm"
    resamples: int = 1000
    seed: int = 0
    effect: float | None = None

    @property
    def confidence(self) -> float:
        """Of every interval of the comparison, each by itself."""
        return 1 - self.alpha

    def require_resamples(self) -> None:
        """Raises a UserError where so few resamples hold no interval of that confidence: its ends lie beyond them."""
        least = math.ceil(2 / self.alpha - 1e-9) - 1
        if self.resamples < least:
            raise UserError(
                f"stage.resamples={self.resamples} are too few for stage.alpha={self.alpha:g}: an interval of "
                f"{100 * self.confidence:g} % takes {least:,} at least."
            )
