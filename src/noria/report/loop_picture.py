"""The picture of the wheel: accuracy by turn on both domains, with and without the defence, and against poison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COLORS = ("#0072b2", "#d55e00")


def draw(
    turns: Mapping[str, Sequence[Mapping[str, Any]]], poison: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path
) -> None:
    """Writes a PNG.

    Args:
        turns: by run, the measurements of each turn: `turn`, and Estimates as dicts, `other` and `original`.
        poison: by run, by the share of malicious users, the same after one turn.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    panels = figure.subplots(1, 3 if poison else 2)
    for panel, key, title in zip(panels, ("other", "original"), ("users' domain", "original domain"), strict=False):
        for color, (name, found) in zip(COLORS, turns.items(), strict=False):
            _line(panel, [one["turn"] for one in found], [one[key] for one in found], name, color)
        panel.set(title=f"Accuracy on the {title}", xlabel="turn")
        panel.set_xticks([one["turn"] for one in next(iter(turns.values()))])
    for color, (name, shares) in zip(COLORS, poison.items(), strict=False):
        order = sorted(shares, key=float)
        _line(panels[-1], [100 * float(s) for s in order], [shares[s]["other"] for s in order], name, color)
    if poison:
        panels[-1].set(title="Challenger of one turn, users' domain", xlabel="malicious users, %")
    panels[0].legend(frameon=False)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _line(panel: Any, x: Sequence[float], estimates: Sequence[Mapping[str, Any]], name: str, color: str) -> None:
    """A line of values with their intervals."""
    values = [one["value"] for one in estimates]
    below = [one["value"] - one["low"] for one in estimates]
    above = [one["high"] - one["value"] for one in estimates]
    panel.errorbar(x, values, yerr=[below, above], marker="o", capsize=3, label=name, color=color)
