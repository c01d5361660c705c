"""Pictures of single answers: what is taken for what, and how sure the systems are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from noria.comparison.result import Comparison, Evidence, System
from noria.report.plot_style import INK, LINES, MUTED, WIDTH, label, leading, shorten, styled

WRITTEN = 10  # classes up to which counts are written into the cells
NAMED = 40  # classes up to which each has its name at the axes
CALIBRATED = 6


@styled()
def confusion(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """What the baseline and the best system take for what, in shares of each true class."""
    systems = [system for system in _pair(comparison) if system.name in evidence.confusion]
    if not systems or not evidence.labels:
        return None
    classes = len(evidence.labels)
    height = 3.9 if classes <= WRITTEN else 4.9
    figure = Figure(figsize=(WIDTH * (1 if len(systems) == 2 else 0.62), height), layout="constrained")
    panels = figure.subplots(1, len(systems), squeeze=False)[0]
    norm = PowerNorm(0.5, 0, 1)  # the root shows errors of a few per cent
    for axes, system in zip(panels, systems, strict=True):
        _draw_matrix(axes, np.asarray(evidence.confusion[system.name], dtype=float), norm)
        role = "baseline" if system.name == comparison.baseline else "best" if system.rank == 1 else "next"
        axes.set_title(f"{role}: {label(system, 34, 2)}", color=INK)
        _name_classes(axes, evidence.labels, with_rows=axes is panels[0])
    bar = figure.colorbar(ScalarMappable(norm, "Blues"), ax=list(panels), shrink=0.75, pad=0.02)
    bar.set_label("share of the rows of a true class")
    shares = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1)
    bar.set_ticks(shares, labels=[f"{share:.0%}" for share in shares])
    return figure


def _pair(comparison: Comparison) -> list[System]:
    """The baseline and the best, or the best and the next where the best is the baseline."""
    best, rest = comparison.systems[:1], comparison.systems[1:]
    if best and best[0].name != comparison.baseline:
        return [*(system for system in rest if system.name == comparison.baseline), *best]
    return [*best, *rest[:1]]


def _draw_matrix(axes: Axes, counts: np.ndarray, norm: PowerNorm) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    # Unsmoothed, so that an SVG holds a pixel a cell.
    axes.imshow(shares, cmap="Blues", norm=norm, interpolation="none", aspect="equal")
    axes.grid(visible=False)
    axes.spines[["top", "right"]].set_visible(True)
    if len(counts) > WRITTEN:
        return
    size = 9 if len(counts) <= 4 else 7.5 if len(counts) <= 7 else 6.5
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if norm(shares[row, column]) > 0.6 else INK
        text = f"{count:,.0f}" if len(counts) > 5 else f"{count:,.0f}\n{shares[row, column]:.1%}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=size)


def _name_classes(axes: Axes, labels: Sequence[str], with_rows: bool) -> None:
    step = -(-len(labels) // NAMED)
    positions = list(range(0, len(labels), step))
    names = [shorten(labels[position], 18) for position in positions]
    size = 8 if len(labels) <= WRITTEN else 6.5 if len(labels) <= 25 else 5
    flat = len(labels) <= 4 and max(map(len, names)) <= 9
    axes.set_xticks(positions, names, rotation=0 if flat else 90, fontsize=size)
    axes.set_yticks(positions, names if with_rows else [""] * len(names), fontsize=size)
    axes.tick_params(length=2)
    axes.set_xlabel("predicted" if step == 1 else f"predicted (every {_nth(step)} class is named)")
    if with_rows:
        axes.set_ylabel("true")


def _nth(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


@styled()
def calibration(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """Reliability diagrams: how often the systems are right for how sure they are, and how often they are so sure."""
    known = [name for name, found in evidence.calibration.items() if len(found.confidence)]
    systems = leading(comparison, known, CALIBRATED)
    if not systems:
        return None
    bins = [evidence.calibration[system.name] for system in systems]
    start = np.floor(min(min(found.confidence.min(), found.accuracy.min()) for found in bins) * 10) / 10
    figure = Figure(figsize=(WIDTH, 4.1 + 0.19 * -(-len(systems) // 2)), layout="constrained")
    diagram, histogram = figure.subplots(1, 2)
    diagram.plot([start, 1], [start, 1], color="#999999", linewidth=1, linestyle=":", zorder=1)
    handles = []
    for number, system in enumerate(systems):
        look: dict[str, Any] = {"color": LINES[number][0], "marker": LINES[number][1], "linestyle": "-"}
        if system.name == comparison.baseline:
            look = {"color": INK, "marker": "D", "linestyle": "--"}
        look |= {"linewidth": 1.4, "markersize": 4.5}
        found = bins[number]
        diagram.plot(found.confidence, found.accuracy, **look)
        histogram.plot(found.confidence, found.count / max(1, found.count.sum()), **look)
        handles.append(Line2D([], [], label=f"ECE {found.error:.3f}   {label(system, 42)}", **look))
    diagram.set(xlim=(start, 1.02), ylim=(start, 1.02), aspect="equal", ylabel="accuracy: share of right answers")
    for x, side, text in ((0.03, "left", "more often right than sure"), (0.97, "right", "more often sure than right")):
        diagram.text(x, 1 - x, text, color=MUTED, fontsize=8, transform=diagram.transAxes, ha=side,
                     va="top" if side == "left" else "bottom")  # fmt: skip
    histogram.set(xlim=(start, 1.02), box_aspect=1, ylabel="share of the rows that are in the bin")
    histogram.set_ylim(bottom=0)
    for axes in (diagram, histogram):
        axes.set_xlabel("confidence: probability of the answer")
    if len(systems) < len(known):
        diagram.set_title(f"The best {len(systems)} of {len(known):,} systems, with the baseline")
    figure.legend(handles=handles, loc="outside lower center", ncols=min(2, len(systems)))
    return figure
