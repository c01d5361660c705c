"""Pictures of systems as wholes: their ranking, and how they learnt."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from noria.comparison.result import Comparison, Curve, Evidence, System
from noria.report.plot_style import (
    INK,
    LINES,
    MUTED,
    VERDICTS,
    WIDTH,
    brief,
    drawable,
    kind,
    label,
    leading,
    limits,
    name,
    printable,
    say_left_out,
    short_keys,
    shorten,
    spell_metric,
    styled,
    tidy,
    verdict_handles,
)

RANKED = 40
CURVES = 8
RUN: dict[str, Any] = {"color": "#9a9a9a", "marker": "|", "linestyle": "none", "markersize": 4.5}


@styled()
def ranking(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """A forest plot: each system's mean with its interval, and its runs as dots."""
    everyone = drawable(comparison)
    systems = everyone[:RANKED]
    if len(systems) < 2:
        return None
    lines = 1 if len(systems) > 16 else 2
    figure = Figure(figsize=(WIDTH, 1.1 + len(systems) * (0.24 if lines == 1 else 0.36)), layout="constrained")
    axes = figure.subplots()
    baseline = [system for system in everyone if system.name == comparison.baseline]
    for system in baseline:
        axes.axvline(system.estimate.value, color=INK, linewidth=1, linestyle="--", zorder=1)
    low, high = limits(comparison, systems + [system for system in baseline if system not in systems])
    for row, system in enumerate(systems):
        _forest_row(axes, row, system, (low, high))
    axes.set(xlim=(low, high), ylim=(len(systems) - 0.4, -0.6), xlabel=spell_metric(comparison))
    names, heading = _row_names(systems, lines)
    axes.set_yticks(range(len(systems)), names)
    axes.tick_params(axis="y", length=0, pad=26)  # the ranks stand between
    for x, side, text in ((1.02, "left", f"mean [{100 * systems[0].estimate.confidence:g} % interval]"),
                          (-0.01, "right", heading)):  # fmt: skip
        axes.annotate(text, (x, 1), xycoords="axes fraction", xytext=(0 if x > 0 else -22, 3), ha=side,
                      textcoords="offset points", color=MUTED, fontsize=8)  # fmt: skip
    axes.grid(axis="y", visible=False)
    axes.spines.left.set_visible(False)
    say_left_out(axes, len(systems), len(everyone), f"The best {len(systems)}")
    handles = verdict_handles(kind(system) for system in (*systems, *baseline))
    if any(len(system.values) > 1 for system in systems):
        handles.append(Line2D([], [], **RUN, label="one run"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure


def _row_names(systems: Sequence[System], lines: int) -> tuple[list[str], str]:
    """The systems' names, or where they are too long their values, and a heading that says of what."""
    longest = max(len(tidy(system.name)) for system in systems)
    keys = list(dict.fromkeys(key for system in systems for key in system.settings))
    if longest <= 42 * lines or not keys:
        return [name(system, 42, lines) for system in systems], ""
    values = [", ".join(brief(system.settings.get(key)) for key in keys) for system in systems]
    heading = textwrap.fill(", ".join(map(printable, short_keys(keys).values())), 46)
    return [textwrap.fill(shorten(text, 50 * lines), 52) for text in values], heading


def _forest_row(axes: Axes, row: int, system: System, ends: tuple[float, float]) -> None:
    color, marker = VERDICTS[kind(system)]
    estimate = system.estimate
    if len(system.values) > 1:
        axes.plot(system.values, [row + 0.22] * len(system.values), **RUN, zorder=2)
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        axes.plot([estimate.low, estimate.high], [row, row], color=color, zorder=3, solid_capstyle="butt")
    if ends[0] <= estimate.value <= ends[1]:
        axes.plot(estimate.value, row, marker, color=color, markersize=6.5, zorder=4, markeredgecolor="white")
    else:  # off the axis: the number on the right says where
        left = estimate.value < ends[0]
        axes.text(0 if left else 1, row, "◀" if left else "▶", color=color, transform=axes.get_yaxis_transform(),
                  ha="left" if left else "right", va="center", zorder=4)  # fmt: skip
    axes.text(1.02, row, str(estimate), transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.annotate(str(system.rank), (0, row), xycoords=axes.get_yaxis_transform(), xytext=(-8, 0), va="center",
                  textcoords="offset points", ha="right", fontsize=8, weight="bold")  # fmt: skip


@styled()
def learning_curves(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """Both losses and the metric while training: each system's mean over its seeds, between the lowest and highest."""
    runs: dict[str, list[Curve]] = {}
    for curve in evidence.curves:
        runs.setdefault(curve.system, []).append(curve)
    systems = leading(comparison, runs, CURVES)
    series = {"train/loss": "training loss", "val/loss": "validation loss"}
    series[f"val/{comparison.metric}"] = f"{shorten(comparison.metric, 30)} on val"
    bands = {key: [_band(runs[system.name], key) for system in systems] for key in series}
    bands = {key: found for key, found in bands.items() if any(len(steps) > 1 for steps, _ in found)}
    if not bands:
        return None
    rows = -(-len(systems) // 2)
    figure = Figure(figsize=(WIDTH, 3.1 + 0.19 * rows), layout="constrained")
    panels = figure.subplots(1, len(bands), squeeze=False)[0]
    handles = []
    for number, system in enumerate(systems):
        color, marker = LINES[number]
        look = {"color": color, "marker": marker, "linestyle": "-"}
        if system.name == comparison.baseline:
            look = {"color": INK, "marker": "D", "linestyle": "--"}
        handles.append(Line2D([], [], label=label(system, 50), markersize=4, **look))  # type: ignore[arg-type]
        for axes, found in zip(panels, bands.values(), strict=True):
            _draw_band(axes, *found[number], look, len(systems) - number)
    for axes, key in zip(panels, bands, strict=True):
        axes.set(xlabel="optimiser step", ylabel=series[key])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    say_left_out(panels[0], len(systems), len(comparison.systems), f"The best {len(systems)}, with the baseline,")
    figure.legend(handles=handles, loc="outside lower center", ncols=min(2, len(systems)))
    return figure


def _band(curves: Sequence[Curve], key: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps, and the lowest, mean and highest of the runs at each; a run counts from its first to its last."""
    runs = []
    for curve in curves:
        values = np.asarray(curve.series.get(key, ()), dtype=float)
        if values.size:
            there = np.isfinite(values)
            runs.append((np.asarray(curve.step, dtype=float)[there], values[there]))
    runs = [(steps, values) for steps, values in runs if steps.size]
    if not runs:
        return np.empty(0), np.empty((3, 0))
    steps = np.unique(np.concatenate([steps for steps, _ in runs]))
    filled = np.stack([np.interp(steps, *run, left=np.nan, right=np.nan) for run in runs])
    return steps, np.stack([np.nanmin(filled, axis=0), np.nanmean(filled, axis=0), np.nanmax(filled, axis=0)])


def _draw_band(axes: Axes, steps: np.ndarray, band: np.ndarray, look: dict[str, str], order: int) -> None:
    low, mean, high = band
    marker = look["marker"] if len(steps) <= 15 else "none"
    axes.plot(steps, mean, **{**look, "marker": marker}, markersize=3.5, zorder=2 + order / 10)  # type: ignore[arg-type]
    if np.any(high > low):
        axes.fill_between(steps, low, high, color=look["color"], alpha=0.13, linewidth=0, zorder=1)
