"""Whether a challenger takes the champion's place: better on one set of rows, no worse on every other.

Sees who was right on which row, and nothing else of the models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate
from noria.statistics.no_worse import mean_no_worse, proportions_no_worse
from noria.statistics.paired import mcnemar, mean_difference, proportion_difference
from noria.statistics.proportion import wilson


@dataclass(frozen=True)
class Compared:
    """One set of rows: how right both are, and the challenger less the champion.

    Args:
        difference: its interval is of 1 - the share of alpha that this set had at this look.
        p: of McNemar's exact test, or of the paired t test where answers are right in part, two-sided; `better` where
            it is below that share.
        p_no_worse: of "worse by the margin or more", two-sided (`statistics.no_worse`); `no_worse` where it is below
            that share, which is where the interval lies above the negative of the margin.
    """

    champion: Estimate
    challenger: Estimate
    difference: Estimate
    p: float
    p_no_worse: float
    better: bool
    no_worse: bool


@dataclass(frozen=True)
class Decision:
    """Whether to promote, in words, and what it rests on; `alpha` is what was left for this look."""

    promote: bool
    said: str
    alpha: float
    sets: dict[str, Compared]


def decide(
    right: Mapping[str, tuple[np.ndarray, np.ndarray]], looks: int, *, margin: float = 0.01, alpha: float = 0.05
) -> Decision:
    """Looks at the same rows again each turn, so the n-th look is allowed 6 / (pi n)² of `alpha`: over all looks that
    sums to `alpha`, which bounds how often a challenger that is no better is ever promoted as better, and how often
    one that is worse by the margin on some set is promoted at all. It is shared evenly by the sets.

    Args:
        right: by name of the set, whether the champion and the challenger are right on each row, bool (n,) each, or
            how right they are, from 0 to 1.
        looks: how many times these sets have been looked at, this time included.
        margin: how much worse is still no worse: the lower end of the interval has to lie above its negative.

    Raises:
        ValueError: no sets, or no look.
    """
    if not right or looks < 1:
        raise ValueError(f"a decision needs rows and a look, got {len(right)} sets and {looks} looks")
    left = alpha * 6 / (math.pi * looks) ** 2
    sets = {name: _compared(*pair, margin, left / len(right)) for name, pair in right.items()}
    worse = [name for name, found in sets.items() if not found.no_worse]
    better = [name for name, found in sets.items() if found.better]
    if worse:
        said = f"kept the champion: the challenger may be worse on {_listed(worse, sets)} by more than {margin:g}"
    elif not better:
        said = f"kept the champion: the challenger is not shown to be better ({_listed(list(sets), sets)})"
    else:
        said = f"promoted: better on {_listed(better, sets)}, no worse on the rest"
    return Decision(not worse and bool(better), said, left, sets)


def _compared(champion: np.ndarray, challenger: np.ndarray, margin: float, alpha: float) -> Compared:
    if champion.dtype != bool or challenger.dtype != bool:
        return _compared_means(champion, challenger, margin, alpha)
    n = len(champion)
    only = int((challenger & ~champion).sum()), int((champion & ~challenger).sum())
    difference = proportion_difference(*only, n, 1 - alpha)
    p, p_no_worse = mcnemar(challenger, champion), proportions_no_worse(*only, n, margin)
    return Compared(
        wilson(int(champion.sum()), n),
        wilson(int(challenger.sum()), n),
        difference,
        p,
        p_no_worse,
        better=p < alpha and difference.value > 0,
        no_worse=p_no_worse < alpha,
    )


def _compared_means(champion: np.ndarray, challenger: np.ndarray, margin: float, alpha: float) -> Compared:
    difference, p = mean_difference(challenger, champion, 1 - alpha)
    p_no_worse = mean_no_worse(challenger, champion, margin)
    return Compared(
        mean_interval(champion.astype(np.float64)),
        mean_interval(challenger.astype(np.float64)),
        difference,
        p,
        p_no_worse,
        better=p < alpha and difference.value > 0,
        no_worse=p_no_worse < alpha,
    )


def _listed(names: list[str], sets: Mapping[str, Compared]) -> str:
    return ", ".join(f"{name} {sets[name].difference.value:+.4f} (p {sets[name].p:.2g})" for name in names)
