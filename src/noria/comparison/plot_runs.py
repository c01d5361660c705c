"""Pictures of systems as wholes: their ranking, how they learnt, what they cost."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from noria.comparison.plot_style import (
    BASELINE,
    INK,
    LINES,
    MANY,
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
    say_left_out,
    short_keys,
    shorten,
    spell_metric,
    styled,
    tidy,
    verdict_handles,
)
from noria.comparison.result import Comparison, Curve, Evidence, System

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
    heading = textwrap.fill(", ".join(short_keys(keys).values()), 46)
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


@styled()
def against_time(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """The metric against the time of training, of which the runs of a system span a line."""
    seconds = {system: np.asarray(each, dtype=float) for system, each in evidence.seconds.items()}
    seconds = {system: each[np.isfinite(each)] for system, each in seconds.items()}
    seconds = {system: each for system, each in seconds.items() if each.size}
    longest = max((each.max() for each in seconds.values()), default=0.0)
    unit, size = ("h", 3600) if longest > 3 * 3600 else ("min", 60) if longest > 180 else ("s", 1)
    scaled = {system: each / size for system, each in seconds.items()}
    return _against(comparison, scaled, f"training time of a run ({unit})")


@styled()
def against_size(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """The metric against the number of parameters, if the systems differ in it."""
    if len(set(evidence.parameters.values())) < 2:
        return None
    largest = max(evidence.parameters.values())
    unit, size = next(
        ((unit, size) for unit, size in (("billions", 1e9), ("millions", 1e6), ("thousands", 1e3)) if largest >= size),
        ("number", 1.0),
    )
    sizes = {system: np.asarray([count / size]) for system, count in evidence.parameters.items()}
    return _against(comparison, sizes, f"parameters ({unit})")


def _against(comparison: Comparison, cost: dict[str, np.ndarray], cost_name: str) -> Figure | None:
    systems = [system for system in drawable(comparison) if system.name in cost]
    if len(systems) < 2:
        return None
    many = len(systems) > MANY
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    low, high = limits(comparison, systems)
    shown = [system for system in systems if low <= system.estimate.value <= high]
    x = np.array([cost[system.name].mean() for system in shown])
    y = np.array([system.estimate.value for system in shown])
    if many:
        _cloud(axes, shown, x, y)
    aside = np.zeros(len(shown)) if many else _aside(x)
    for system, across, up, points in zip(() if many else shown, x, y, aside, strict=False):
        color, marker = VERDICTS[kind(system)]
        moved = axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
        thin = {"color": color, "linewidth": 1, "alpha": 0.55, "zorder": 2, "transform": moved}
        axes.plot([cost[system.name].min(), cost[system.name].max()], [up, up], **thin)  # type: ignore[arg-type]
        axes.plot([across, across], [system.estimate.low, system.estimate.high], **thin)  # type: ignore[arg-type]
        axes.plot(across, up, marker, color=color, markersize=7, markeredgecolor="white", zorder=3, transform=moved)
    _scale_cost(axes, np.concatenate([cost[system.name] for system in shown]))
    front = _front(x, y if comparison.mode == "max" else -y)
    axes.step(x[front], y[front], where="post", color="#999999", linewidth=1.2, linestyle=":", zorder=1)
    _number(axes, comparison, shown, np.column_stack([x, y, aside]), front)
    axes.set(xlabel=cost_name, ylabel=spell_metric(comparison), ylim=(low, high))
    if len(shown) < len(systems):
        axes.set_title(f"{len(systems) - len(shown):,} of {len(systems):,} systems are far worse and off the axis")
    handles = verdict_handles((kind(system) for system in shown), baseline_line=False)
    if len(front) > 1:
        handles.append(Line2D([], [], color="#999999", linewidth=1.2, linestyle=":", label="best for its cost"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure


def _scale_cost(axes: Axes, costs: np.ndarray) -> None:
    """From the lowest to the highest cost with some room, in decades where they span more than one."""
    low, high = float(costs.min()), float(costs.max())
    if low > 0 and high >= 20 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        room = (high / low) ** 0.06
        axes.set_xlim(low / room, high * room)
    else:
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _aside(x: np.ndarray) -> np.ndarray:
    """By how many points each is moved so that those of the same x stand beside each other."""
    aside = np.zeros(len(x))
    for same in (np.flatnonzero(x == value) for value in np.unique(x)):
        aside[same] = (np.arange(len(same)) - (len(same) - 1) / 2) * min(9, 120 / len(same))
    return aside


def _cloud(axes: Axes, systems: Sequence[System], x: np.ndarray, y: np.ndarray) -> None:
    """Points alone: the intervals of hundreds would hide each other."""
    kinds = np.array([kind(system) for system in systems])
    for verdict, (color, marker) in VERDICTS.items():
        chosen = kinds == verdict
        size, alpha, order = (60, 1.0, 4) if verdict == BASELINE else (14, 0.45, 2)
        axes.scatter(x[chosen], y[chosen], s=size, color=color, marker=marker, alpha=alpha, linewidth=0, zorder=order,
                     rasterized=True)  # fmt: skip


def _front(x: np.ndarray, goodness: np.ndarray) -> np.ndarray:
    """Which points no other beats at the same or a lower x, from left to right."""
    order = np.lexsort((-goodness, x))
    best = np.maximum.accumulate(goodness[order])
    return order[np.r_[True, best[1:] > best[:-1]]]


def _number(
    axes: Axes, comparison: Comparison, systems: Sequence[System], places: np.ndarray, front: np.ndarray
) -> None:
    """Ranks beside the points (x, y, points aside), the most telling first, and none on top of another."""
    x, y, aside = places.T
    across = np.log(x) if axes.get_xscale() == "log" else x
    spots = np.column_stack([scale / (np.ptp(scale) or 1.0) for scale in (across, y)])
    spots[:, 0] += aside / (72 * WIDTH)
    special = [number for number, system in enumerate(systems) if number == 0 or system.name == comparison.baseline]
    taken: list[np.ndarray] = []
    others = range(len(systems) if len(systems) <= MANY else 0)
    for number in dict.fromkeys([*special, *front.tolist(), *others]):
        near = any(abs(spots[number] - spot)[0] < 0.025 and abs(spots[number] - spot)[1] < 0.05 for spot in taken)
        if not near:
            taken.append(spots[number])
            axes.annotate(
                str(systems[number].rank), (x[number], y[number]), xytext=(5 + aside[number], 4),
                textcoords="offset points", fontsize=8, color=MUTED, zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.3},
            )  # fmt: skip
