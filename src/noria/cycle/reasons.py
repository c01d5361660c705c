"""Whether there is reason to train: enough rows, and errors or drift that are no accident. Trains nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noria.statistics.proportion import wilson

FEW = 30  # rows below which drift is not looked for: any test would be blind


@dataclass(frozen=True)
class Thresholds:
    """When to train.

    Args:
        rows: answers of the champion that users have judged, at least.
        error: the error rate that feedback has to exceed, with the lower end of its interval.
        alpha: of each of the two drift tests.
    """

    rows: int = 100
    error: float = 0.1
    alpha: float = 0.001


@dataclass(frozen=True)
class Reason:
    """One look: what was measured, what it had to exceed (or for a p value to stay below), and whether it did."""

    name: str
    value: float
    threshold: float
    holds: bool
    said: str


def reasons(
    new_rows: int, wrong: int, judged: int, served: Sequence[tuple[str, str]], known: Sequence[tuple[str, str]],
    thresholds: Thresholds,
) -> list[Reason]:  # fmt: skip
    """All looks at one turn. To train takes the rows and one of the others.

    Args:
        new_rows: answers of the champion that users have judged.
        wrong, judged: predictions that users called wrong, of those that they judged, since then.
        served, known: (text, predicted label) of what the champion has answered since then, and of rows like those that
            it was trained on.
    """
    found = [
        Reason("rows", new_rows, thresholds.rows, new_rows >= thresholds.rows, f"{new_rows:,} answers were judged"),
        _errors(wrong, judged, thresholds.error),
    ]
    if min(len(served), len(known)) >= FEW:
        found += [_inputs(served, known, thresholds.alpha), _predictions(served, known, thresholds.alpha)]
    return found


def worth_training(found: Sequence[Reason]) -> bool:
    """Enough rows, and something that they would change."""
    return found[0].holds and any(reason.holds for reason in found[1:])


def _errors(wrong: int, judged: int, most: float) -> Reason:
    if not judged:
        return Reason("errors", 0.0, most, False, "nothing was judged")
    rate = wilson(wrong, judged)
    return Reason("errors", rate.low, most, rate.low > most, f"users called {rate} of {judged:,} answers wrong")


def _inputs(served: Sequence[tuple[str, str]], known: Sequence[tuple[str, str]], alpha: float) -> Reason:
    """Kolmogorov and Smirnov's two-sample test of the lengths of the texts, in characters."""
    from scipy.stats import ks_2samp

    lengths = [np.array([len(text) for text, _ in rows]) for rows in (served, known)]
    p = float(ks_2samp(*lengths).pvalue)
    middle = [float(np.median(each)) for each in lengths]
    said = f"texts of {middle[0]:.0f} characters in the middle, {middle[1]:.0f} in training (p {p:.2g})"
    return Reason("drift of inputs", p, alpha, p < alpha, said)


def _predictions(served: Sequence[tuple[str, str]], known: Sequence[tuple[str, str]], alpha: float) -> Reason:
    """Pearson's chi-squared test of how often each label is predicted."""
    from scipy.stats import chi2_contingency

    counts = [Counter(label for _, label in rows) for rows in (served, known)]
    labels = sorted({*counts[0], *counts[1]})
    table = np.array([[count[label] for label in labels] for count in counts])
    p = 1.0 if len(labels) < 2 else float(chi2_contingency(table).pvalue)
    shares = ", ".join(
        f"{label} {counts[0][label] / len(served):.0%} for {counts[1][label] / len(known):.0%}" for label in labels[:4]
    )
    return Reason("drift of predictions", p, alpha, p < alpha, f"predicted {shares} (p {p:.2g})")
