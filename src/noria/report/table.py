"""A comparison on the terminal, and as plain values for `comparison.json` and W&B."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from rich.table import Table
from rich.text import Text

from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference, System
from noria.statistics.estimate import Estimate

COLORS = {BETTER: "green", WORSE: "red", NO_WORSE: "cyan", CANNOT_TELL: "yellow"}
SHOWN = 50
COLUMNS = ("rank", "system", "seeds", "value", "low", "high", "sd", "difference", "difference low", "difference high",
           "p", "p adjusted", "test", "verdict", "smallest difference", "p no worse",
           "p no worse adjusted")  # fmt: skip


def table(comparison: Comparison) -> Table:
    """The best systems and the baseline, read at a glance."""
    title = f"{comparison.split}/{comparison.metric} ({comparison.mode}) on {comparison.rows:,} rows"
    found = Table("", title=title)
    found.add_column("config", overflow="fold", min_width=24)
    for name in ("seeds", f"mean [{confidence(comparison)}]", "less the baseline", "p", "verdict"):
        found.add_column(name)
    shown = comparison.systems[:SHOWN]
    rest = [system for system in comparison.systems[SHOWN:] if system.name == comparison.baseline]
    for system in (*shown, *rest):
        found.add_row(*_row(system))
    return found


def _row(system: System) -> tuple[str | Text, ...]:
    *cells, verdict = _cells(system)
    return (*cells, Text(verdict, COLORS.get(verdict, "bold")))


def _cells(system: System) -> tuple[str, ...]:
    first = (str(system.rank), system.name, str(len(system.runs)), str(system.estimate))
    if (difference := system.difference) is None:
        return (*first, "", "", "baseline")
    return (*first, signed(difference), short_p(difference.p_adjusted), difference.verdict)


def signed(difference: Difference) -> str:
    """`+0.012 [-0.003, +0.027]`."""
    estimate = difference.estimate
    plain = str(Estimate(abs(estimate.value), abs(estimate.low), abs(estimate.high), estimate.n, estimate.method))
    digits = len(plain.partition(" ")[0].partition(".")[2])
    low, high = f"{estimate.low:+.{digits}f}", f"{estimate.high:+.{digits}f}"
    return f"{estimate.value:+.{digits}f}" + ("" if math.isnan(estimate.low) else f" [{low}, {high}]")


def short_p(p: float) -> str:
    return "" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def sentence(comparison: Comparison) -> str:
    """What came out, in a sentence or two."""
    best = comparison.systems[0]
    if len(comparison.systems) == 1:
        return f"One config: {comparison.metric} {best.estimate}."
    others = [system.difference for system in comparison.systems if system.difference is not None]
    said = Counter(one.verdict for one in others)
    counts = ", ".join(f"{said[verdict]} {verdict}" for verdict in COLORS if said[verdict])
    smallest = min(one.smallest for one in others)
    return (
        f"Of {len(others)} compared to {comparison.baseline}: {counts}. The smallest difference that could have been "
        f"shown (with a power of 80 %): {smallest:.4f}."
    )


def markdown(comparison: Comparison) -> str:
    """The table and what came out, for a page that reads Markdown."""
    level = confidence(comparison)
    head = f"| rank | config | seeds | mean [{level}] | less the baseline [{level}] | p | verdict |"
    lines = [
        "| " + " | ".join(cell.replace("|", r"\|") for cell in _cells(system)) + " |"
        for system in comparison.systems[:SHOWN]
    ]
    return "\n".join([sentence(comparison), "", head, "|" + "---|" * 7, *lines])


def confidence(comparison: Comparison) -> str:
    """Of each interval by itself: `95 %`."""
    return f"{100 * comparison.systems[0].estimate.confidence:g} %"


def rows(comparison: Comparison) -> list[list[Any]]:
    """A row of `COLUMNS` for each system."""
    return [_values(system) for system in comparison.systems]


def _values(system: System) -> list[Any]:
    one, other = system.estimate, system.difference
    first = [system.rank, system.name, len(system.runs), one.value, one.low, one.high, system.sd]
    if other is None:
        return [*first, None, None, None, None, None, None, "baseline", None, None, None]
    gap = other.estimate
    tests = other.p, other.p_adjusted, other.test, other.verdict, other.smallest
    return [*first, gap.value, gap.low, gap.high, *tests, other.no_worse, other.no_worse_adjusted]
