"""The picture of what varies: an axis for each setting, a line for each system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from noria.comparison.result import Comparison, Evidence, System
from noria.report.plot_style import (
    MANY,
    MUTED,
    WIDTH,
    brief,
    drawable,
    limits,
    short_keys,
    shorten,
    spell_metric,
    styled,
)

AXES = 12  # as many settings as have room
TICKS = 24  # labels of an axis
NOT_SET = -0.1  # where a number is that a system has not
Ticks = list[tuple[float, str]]


@styled()
def parallel_coordinates(comparison: Comparison, evidence: Evidence) -> Figure | None:
    """Each system a line through its settings to its metric, in the colour of the metric."""
    systems = drawable(comparison)
    keys = list(dict.fromkeys(key for system in systems for key in system.settings))
    keys = [key for key in keys if len({repr(system.settings.get(key)) for system in systems}) > 1]
    if len(systems) < 2 or not keys:
        return None
    drawn = keys[:AXES]
    places = [place([system.settings.get(key) for system in systems]) for key in drawn]
    goodness, ticks = _measure(comparison, systems)
    heights = np.column_stack([*(_spread(heights, goodness) for heights, _ in places), goodness])

    figure = Figure(figsize=(WIDTH, 4.6), layout="constrained")
    axes = figure.subplots()
    across = np.arange(len(drawn) + 1)
    worst_first = np.argsort(goodness, kind="stable")
    palette = _palette()
    colors = palette(goodness[worst_first])
    faintest = float(np.clip(6 / math.sqrt(len(systems)), 0.08, 0.85))
    colors[:, 3] = faintest + (0.85 - faintest) * goodness[worst_first] ** 8  # of thousands the best stand out
    axes.add_collection(
        LineCollection(
            [np.column_stack([across, heights[row]]) for row in worst_first],
            colors=colors,
            linewidths=float(np.clip(12 / math.sqrt(len(systems)), 0.6, 2.0)),
            rasterized=len(systems) > MANY,
        )
    )
    for position, (key, (_, marks)) in enumerate(zip(drawn, places, strict=True)):
        _draw_axis(axes, position, marks, short_keys(keys)[key], len(drawn))
    _draw_measure(axes, len(drawn), ticks, comparison.metric, palette)
    lowest = min(0.0, float(heights.min()))
    axes.set(xlim=(-0.35, len(drawn) + 0.3), ylim=(lowest - 0.04, 1.04))
    axes.set_axis_off()
    if len(keys) > len(drawn):
        axes.text(0, -0.02, f"The first {len(drawn)} of {len(keys)} settings that vary.", color=MUTED, va="top",
                  transform=axes.transAxes)  # fmt: skip
    axes.text(1, -0.02, f"{spell_metric(comparison)}; the best is at the top", color=MUTED, va="top", ha="right",
              transform=axes.transAxes)  # fmt: skip
    return figure


def place(values: Sequence[Any]) -> tuple[np.ndarray, Ticks]:
    """Where each value lies on an axis from 0 to 1, and the axis' labels."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value) for value in present):
        return _place_numbers(values, present)
    names = [None if value is None else brief(value) for value in values]
    order = sorted({name for name in names if name is not None}, key=str.casefold)
    order += [None] if None in names else []  # type: ignore[list-item]
    heights = {name: number / max(1, len(order) - 1) for number, name in enumerate(order)}
    step = -(-len(order) // TICKS)
    ticks = [(heights[name], "not set" if name is None else name) for name in order[::step]]
    return np.array([heights[name] for name in names]), ticks  # type: ignore[index]


def _place_numbers(values: Sequence[Any], present: Sequence[Any]) -> tuple[np.ndarray, Ticks]:
    distinct = np.unique(np.array(present, dtype=float))
    low, high = distinct[0], distinct[-1]
    change = np.log if is_geometric(distinct) else np.asarray

    def height(number: float) -> float:
        return float((change(number) - change(low)) / (change(high) - change(low))) if high > low else 0.5

    heights = np.array([NOT_SET if value is None else height(float(value)) for value in values])
    marks: Sequence[float]
    if len(distinct) <= 8:
        marks = distinct.tolist()
    elif change is np.log:
        marks = LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)).tick_values(low, high)
    else:
        marks = MaxNLocator(6).tick_values(low, high)
    ticks: Ticks = [(NOT_SET, "not set")] if len(present) < len(values) else []
    marks = [mark for mark in marks if low <= mark <= high]
    texts = [f"{mark:.4g}" for mark in marks] if change is np.log else _texts(marks)
    for mark, text in zip(marks, texts, strict=True):
        if not ticks or height(mark) - ticks[-1][0] > 0.045:
            ticks.append((height(mark), text))
    return heights, ticks


def _texts(marks: Sequence[float]) -> list[str]:
    """As many decimals for each, if they are few."""
    decimals = max((len(f"{mark:.6g}".partition(".")[2]) for mark in marks), default=0)
    return [f"{mark:.4g}" if decimals > 4 else f"{mark:.{decimals}f}" for mark in marks]


def is_geometric(distinct: np.ndarray) -> bool:
    """Whether sorted numbers lie more evenly on a logarithmic axis than on a linear one: 16, 32, 64, or 1e-5 … 1e-3."""
    if distinct[0] <= 0 or distinct[-1] < 4 * distinct[0]:
        return False
    even = np.linspace(0, 1, len(distinct))
    log = np.log(distinct)
    uneven = [np.abs((scale - scale[0]) / (scale[-1] - scale[0]) - even).sum() for scale in (log, distinct)]
    return bool(uneven[0] <= uneven[1])


def _spread(heights: np.ndarray, goodness: np.ndarray) -> np.ndarray:
    """Systems of the same value a little apart, the better above, so that their lines do not hide each other."""
    if len(np.unique(heights)) > 12:
        return heights
    order = np.argsort(np.argsort(goodness, kind="stable"))
    return heights + (order / max(1, len(order) - 1) - 0.5) * 0.03


def _measure(comparison: Comparison, systems: Sequence[System]) -> tuple[np.ndarray, Ticks]:
    """How far up each system is, the best at the top; what is off the axis is at its foot."""
    low, high = limits(comparison, systems)
    values = np.array([system.estimate.value for system in systems])
    off = int(((values < low) | (values > high)).sum())
    low, high = max(low, values.min()), min(high, values.max())
    heights = (np.clip(values, low, high) - low) / ((high - low) or 1.0)
    marks = [mark for mark in MaxNLocator(6).tick_values(low, high) if low <= mark <= high]
    ticks = [((mark - low) / ((high - low) or 1.0), text) for mark, text in zip(marks, _texts(marks), strict=True)]
    if comparison.mode == "min":
        heights, ticks = 1 - heights, [(1 - height, text) for height, text in ticks]
    if off:
        ticks = [tick for tick in ticks if tick[0] > 0.05] + [(0.0, f"worse ({off:,})")]
    return heights, ticks


def _palette() -> Colormap:
    """Viridis turned round, without its palest end, which would vanish on white."""
    return ListedColormap(colormaps["viridis_r"](np.linspace(0.08, 1, 256)))


def _draw_axis(axes: Axes, position: int, ticks: Ticks, name: str, count: int) -> None:
    axes.plot([position, position], [0, 1], color="#888888", linewidth=1, zorder=3)
    for height, text in ticks:
        axes.plot([position - 0.012 * count, position], [height, height], color="#888888", linewidth=0.8, zorder=3)
        axes.text(
            position - 0.02 * count, height, text, ha="right", va="center", fontsize=8, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip
    raised = 0.07 if count > 6 and position % 2 else 0.0  # neighbours at two heights
    axes.text(position, 1.06 + raised, shorten(name, 24), ha="center", va="bottom", weight="bold", fontsize=8.5)


def _draw_measure(axes: Axes, position: int, ticks: Ticks, name: str, palette: Colormap) -> None:
    """The axis of the metric, which is the key to the colours as well."""
    edges = np.linspace(0, 1, 65)
    sides = position + np.array([-0.006, 0.006]) * (position + 1)
    axes.pcolormesh(sides, edges, edges[:-1, None], cmap=palette, zorder=3, rasterized=True)
    for height, text in ticks:
        axes.text(position + 0.02 * (position + 1), height, text, va="center", fontsize=8, zorder=4)
    axes.text(position, 1.06, shorten(name, 24), ha="center", va="bottom", weight="bold", fontsize=8.5)
