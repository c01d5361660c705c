"""How the pictures of a report look: one style, one palette, names that fit, and what to do with outliers.

Imports matplotlib, never pyplot: a picture is a Figure of its own, and nothing global is changed.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, System

INK, MUTED, FAINT = "#222222", "#666666", "#dddddd"
BASELINE = "baseline"
# Okabe and Ito's colours, told apart by the colour-blind; the markers tell them apart in grey.
VERDICTS = {
    BASELINE: (INK, "D"),
    BETTER: ("#0072B2", "^"),
    NO_WORSE: ("#009E73", "s"),
    CANNOT_TELL: ("#7f7f7f", "o"),
    WORSE: ("#D55E00", "v"),
}
LINES = (
    ("#0072B2", "o"),
    ("#D55E00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "v"),
    ("#56B4E9", "P"),
    ("#E69F00", "X"),
    ("#8B4513", "*"),
    ("#6A3D9A", "<"),
)
WIDTH = 9.0  # inches of every picture
MANY = 150  # systems from which on marks are drawn as pixels, small and pale

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#999999",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": MUTED,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],  # the first is matplotlib's own, the second as wide
    "font.size": 9,
    "grid.color": "#ebebeb",
    "grid.linewidth": 0.8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "svg.fonttype": "none",  # text stays text: to be searched, and in every script a browser knows
    "svg.hashsalt": "noria",  # the same picture is the same file
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "xtick.color": "#999999",
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": "#999999",
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


def styled():  # type: ignore[no-untyped-def]  # a context manager that is a decorator as well has no short type
    """The style, as a context and as a decorator, whatever a user's own matplotlibrc says."""
    return style.context(["default", STYLE])


def kind(system: System) -> str:
    """A system's verdict, or that it is the baseline."""
    return BASELINE if system.difference is None else system.difference.verdict


def drawable(comparison: Comparison) -> list[System]:
    """The systems that have a number, the best first."""
    return [system for system in comparison.systems if math.isfinite(system.estimate.value)]


def leading(comparison: Comparison, names: Iterable[str], limit: int) -> list[System]:
    """The best `limit` systems of those named, the baseline among them."""
    named = set(names)
    found = [system for system in comparison.systems if system.name in named]
    base = [system for system in found[limit:] if system.name == comparison.baseline]
    return found[: limit - len(base)] + base


def spell_metric(comparison: Comparison) -> str:
    """The label of an axis that bears the metric."""
    better = "higher" if comparison.mode == "max" else "lower"
    return f"{shorten(comparison.metric, 40)} on {comparison.split} ({better} is better)"


def say_left_out(axes: Axes, shown: int, total: int, what: str) -> None:
    """Above the axes, that `shown` of `total` systems are drawn, if some are not."""
    if shown < total:
        axes.set_title(f"{what} of {total:,} systems; {total - shown:,} not drawn", pad=10)


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Each key without its groups, if that leaves no two the same: `optimizer.lr` is `lr`."""
    ends = {key: re.split(r"[./]", key)[-1] for key in keys}
    count = Counter(ends.values())
    return {key: end if count[end] == 1 else key for key, end in ends.items()}


def tidy(name: str) -> str:
    """A system's name in one line with short keys and numbers in three digits."""
    name = printable(name)
    keys = re.compile(r"(?<!\S)[\w./@+~-]+(?==)")
    short = short_keys(keys.findall(name))
    name = keys.sub(lambda key: short[key[0]], name)
    return re.sub(r"(?<==)-?\d+\.\d{3,}(e[+-]?\d+)?(?!\S)", lambda number: f"{float(number[0]):.3g}", name)


def brief(value: Any) -> str:
    """A setting's value: numbers in three digits."""
    if isinstance(value, bool) or not isinstance(value, float):
        return "none" if value is None else shorten(str(value).lower() if isinstance(value, bool) else str(value), 18)
    return f"{value:.3g}"


def printable(text: str) -> str:
    """In one line, without what an SVG may not hold."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def shorten(text: str, width: int) -> str:
    """At most `width` letters: what is too long loses its middle."""
    text = printable(text)
    head = (width - 1) // 2
    return text if len(text) <= width else f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def label(system: System, width: int, lines: int = 1) -> str:
    """Rank and name; the rank finds the system in the table whatever is cut."""
    return f"{system.rank}  {name(system, width, lines)}"


def name(system: System, width: int, lines: int = 1) -> str:
    """The name in so many lines, cut in its middle where it is longer."""
    words = [shorten(word, width - 2) for word in tidy(system.name).split()]
    head, tail = words[: len(words) // 2], words[len(words) // 2 :]
    wrapped = textwrap.wrap(" ".join(words), width)
    while len(wrapped) > lines and len(head) + len(tail) > 2:
        (head if len(head) > len(tail) else tail).pop(-1 if len(head) > len(tail) else 0)
        wrapped = textwrap.wrap(" ".join([*head, "…", *tail]), width)
    return "\n".join(wrapped if len(wrapped) <= lines else [shorten(" ".join(words), width)])


def verdict_handles(kinds: Iterable[str], baseline_line: bool = True) -> list[Line2D]:
    """The entries of a legend that explains colours and markers."""
    present = set(kinds)
    lines: dict[str, Any] = {BASELINE: "--"} if baseline_line else {}
    return [
        Line2D([], [], color=color, marker=marker, linestyle=lines.get(verdict, "none"), linewidth=1, label=verdict)
        for verdict, (color, marker) in VERDICTS.items()
        if verdict in present
    ]


def limits(comparison: Comparison, systems: Sequence[System]) -> tuple[float, float]:
    """From where to where an axis of the metric goes: far enough for the better half, and not for a run that failed."""
    core = list(systems[: max(2, (len(systems) + 1) // 2)])
    core += [system for system in systems[len(core) :] if system.name == comparison.baseline]
    low, high = _ends(core)
    room = (high - low) or abs(high) * 0.01 or 1.0
    lowest, highest = _ends(systems)
    if comparison.mode == "max":
        low, high = max(lowest, low - 3 * room), highest
    else:
        low, high = lowest, min(highest, high + 3 * room)
    low, high = _ends([system for system in systems if low <= system.estimate.value <= high])
    return low - 0.04 * (high - low or room), high + 0.04 * (high - low or room)


def _ends(systems: Sequence[System]) -> tuple[float, float]:
    numbers = [
        number
        for system in systems
        for number in (system.estimate.value, system.estimate.low, system.estimate.high, *system.values)
        if math.isfinite(number)
    ]
    return min(numbers), max(numbers)
