"""Pictures of what systems cost: the metric against training time, size, and the time of an answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation

from noria.comparison.result import Comparison, Evidence, System
from noria.report.plot_style import (
    BASELINE,
    MANY,
    MUTED,
    VERDICTS,
    WIDTH,
    drawable,
    kind,
    limits,
    spell_metric,
    styled,
    verdict_handles,
)


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


@styled()
def against_latency(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """The metric against the time of an example that is answered alone."""
    cost = {system: np.asarray(each, dtype=float) for system, each in evidence.latency.items()}
    return _against(comparison, cost, "an example alone, the median (ms)")


@styled()
def against_bytes(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """The metric against the size on disk."""
    cost = {system: np.asarray(each, dtype=float) / 1e6 for system, each in evidence.bytes.items()}
    return _against(comparison, cost, "size on disk (MB)")


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
    _scale_cost(axes, np.concatenate([cost[system.name] for system in shown]), float(aside.max(initial=0.0)))
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


def _scale_cost(axes: Axes, costs: np.ndarray, aside: float) -> None:
    """From the lowest to the highest cost with room for what stands aside, in decades where they span more than one."""
    low, high = float(costs.min()), float(costs.max())
    share = 0.05 + aside / (72 * WIDTH * 0.85)  # of the axis, on either side
    share /= 1 - 2 * share
    if low > 0 and high >= 20 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        room = (high / low) ** share
        axes.set_xlim(low / room, high * room)
    else:
        room = share * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.6g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _aside(x: np.ndarray) -> np.ndarray:
    """By how many points each is moved so that those of the same x stand beside each other."""
    aside = np.zeros(len(x))
    for same in (np.flatnonzero(x == value) for value in np.unique(x)):
        aside[same] = (np.arange(len(same)) - (len(same) - 1) / 2) * min(9, 100 / len(same))
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
                textcoords="offset points", fontsize=8, color=MUTED, zorder=2.5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.3},
            )  # fmt: skip
