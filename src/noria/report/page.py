"""One page that says what a comparison found: a file that asks for nothing else and runs no code but its own few lines.

Lays out; what it says is in `page_words`, and how it looks in `report.html.j2`.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from matplotlib.figure import Figure

from noria.comparison.result import (
    BETTER,
    CANNOT_TELL,
    NO_WORSE,
    WORSE,
    Comparison,
    Difference,
    Disagreement,
    Dispute,
    Evidence,
    System,
)
from noria.report import page_words as words
from noria.report.plots import to_svg
from noria.report.table import confidence, short_p

ROWS = 200  # of the table
LETTERS = 300  # of a row's text
MARKS = {BETTER: ("better", "▲"), NO_WORSE: ("no-worse", "■"), CANNOT_TELL: ("cannot-tell", "●"), WORSE: ("worse", "▼")}
# Each picture's heading, and how to read it.
CAPTIONS = {
    "ranking": (
        "Ranking",
        "Each line is the interval of a system's mean: the further from the dashed line of the baseline, the more "
        "it differs, but intervals may overlap where the difference is real, so trust the verdict's mark.",
    ),
    "learning_curves": (
        "Learning curves",
        "Each line is the mean over a system's seeds and the band goes from their lowest to their highest; a "
        "validation loss that rises again while the training loss falls is overfitting.",
    ),
    "against_time": (
        "Against training time",
        "The numbers are ranks, upright lines the intervals, level lines the fastest to the slowest run; on the "
        "dotted line are the systems that no faster one beats.",
    ),
    "against_size": (
        "Against size",
        "The numbers are ranks and the lines intervals; systems of the same size stand side by side, and on the "
        "dotted line are those that no smaller one beats.",
    ),
    "against_latency": (
        "Against the time of an answer",
        "The numbers are ranks and upright lines the intervals; on the dotted line is the front: the systems that no "
        "quicker one beats, all measured on one machine.",
    ),
    "against_bytes": (
        "Against size on disk",
        "The numbers are ranks and upright lines the intervals; on the dotted line is the front: the systems that no "
        "smaller one beats.",
    ),
    "parallel_coordinates": (
        "Settings and result",
        "Each line is a system that goes through its settings to its result on the right: a setting matters where "
        "the dark lines, which are the good ones, gather.",
    ),
    "confusion": (
        "What is taken for what",
        "Each row is a true class and shows which answers its rows were given, so that all off the diagonal is "
        "wrong; the shades are stretched for small shares, and counts are summed over seeds.",
    ),
    "calibration": (
        "Calibration",
        "A line below the diagonal belongs to a system that is surer than it is right; on the right is how many "
        "rows it is so sure of, and ECE is the mean distance to the diagonal, weighted by them.",
    ),
}


def write_page(
    path: Path, comparison: Comparison, evidence: Evidence, figures: Mapping[str, Figure], facts: dict[str, str]
) -> None:
    """One self-contained file.

    Args:
        figures: by name, as `plots.draw` makes them.
        facts: for the foot of the page, such as when it was made.
    """
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["sha256"] = _sha256
    template = environment.from_string(Path(__file__).with_name("report.html.j2").read_text("utf-8"))
    page = template.render(
        comparison=comparison,
        runs=sum(len(system.values) for system in comparison.systems),
        confidence=confidence(comparison),
        correction=words.CORRECTIONS.get(comparison.correction),
        summary=words.summary(comparison),
        rows=[_row(system) for system in _shown(comparison)],
        tests=sorted({system.difference.test for system in comparison.systems if system.difference}),
        winner=_winner(comparison),
        settings=_settings(comparison),
        figures=[_figure(name, figure) for name, figure in figures.items()],
        disagreements=_disagreements(comparison, evidence),
        dispute=_dispute(comparison, evidence.dispute),
        facts=facts,
    )
    # A text may hold half of a surrogate pair, which no file can.
    path.write_text(page, encoding="utf-8", errors="replace")


def _sha256(script: str) -> str:
    """The one script's fingerprint, by which a browser runs that and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _shown(comparison: Comparison) -> list[System]:
    first, rest = comparison.systems[:ROWS], comparison.systems[ROWS:]
    return [*first, *(system for system in rest if system.name == comparison.baseline)]


def _row(system: System) -> dict[str, Any]:
    found = system.difference
    return {
        "rank": system.rank,
        "name": system.name,
        "seeds": len(system.values),
        "seed_list": ", ".join(map(str, system.seeds)),
        "value": _sortable(system.estimate.value),
        "mean": str(system.estimate),
        "sd_value": _sortable(system.sd),
        "sd": "–" if math.isnan(system.sd) else f"{system.sd:#.2g}".rstrip("."),  # noqa: RUF001
        **_verdict(found),
        "gap_value": _sortable(found.estimate.value if found else 0.0),
        "p_value": _sortable(found.p_adjusted if found else math.nan),
        "p": (short_p(found.p_adjusted) if found else "") or "–",  # noqa: RUF001
    }


def _verdict(found: Difference | None) -> dict[str, str]:
    if found is None:
        return {"mark": "baseline", "symbol": "◆", "verdict": "baseline", "gap": "–", "hint": ""}  # noqa: RUF001
    mark, symbol = MARKS.get(found.verdict, ("cannot-tell", "●"))
    return {
        "mark": mark, "symbol": symbol, "verdict": found.verdict, "gap": words.signed(found), "hint": words.hint(found)
    }  # fmt: skip


def _sortable(number: float) -> str:
    """For the sorting of the table: nothing where there is no number."""
    return repr(float(number)) if math.isfinite(number) else ""


def _winner(comparison: Comparison) -> dict[str, Any] | None:
    winner = comparison.winner
    if winner is None:
        return None
    return {
        "name": winner.name,
        "mean": str(winner.estimate),
        "rows": winner.rows,
        "looks": winner.looks,
        "p": words.p_of(winner.difference, comparison) if winner.difference else "",
        **_verdict(winner.difference),
    }


def _settings(comparison: Comparison) -> list[dict[str, str]]:
    """A row for each key that varies: what was tried, and what the best and the baseline have."""
    systems = comparison.systems
    keys = dict.fromkeys(key for system in systems for key in system.settings)
    base = next((system for system in systems if system.name == comparison.baseline), None)
    return [
        {
            "key": key,
            "tried": words.tried([system.settings.get(key) for system in systems]),
            "best": words.spelt(systems[0].settings.get(key)),
            "baseline": words.spelt(base.settings.get(key)) if base else "",
        }
        for key in keys
    ]


def _figure(name: str, figure: Figure) -> dict[str, Any]:
    heading, caption = CAPTIONS.get(name, (name.replace("_", " ").capitalize(), ""))
    return {"name": name, "heading": heading, "caption": caption, "svg": Markup(to_svg(figure, name))}


def _disagreements(comparison: Comparison, evidence: Evidence) -> list[dict[str, Any]]:
    by_name = {system.name: system for system in comparison.systems}
    shown = evidence.dispute.shown if evidence.dispute else ()
    return [_disagreement(row, by_name) for row in shown]


def _dispute(comparison: Comparison, found: Dispute | None) -> dict[str, Any]:
    """How often each of the two is right where the other is not, and how many rows are shown of how many."""
    if found is None:
        return {}
    rank = {system.name: system.rank for system in comparison.systems}
    who = [f"system {rank[name]}" if name in rank else name for name in (found.first, found.second)]
    return {
        "first": who[0],
        "second": who[1],
        "won": f"{found.won:,}",
        "lost": f"{found.lost:,}",
        "left_out": max(0, found.rows - len(found.shown)),
    }


def _disagreement(row: Disagreement, by_name: Mapping[str, System]) -> dict[str, Any]:
    """Systems that answer alike are on one line."""
    alike: dict[tuple[tuple[str, float], ...], list[str]] = {}
    for name, shares in row.answers.items():
        key = tuple(sorted(shares.items(), key=lambda answer: (-answer[1], answer[0])))
        alike.setdefault(key, []).append(name)
    text = row.text
    if text is not None and len(text) > LETTERS:
        text = text[:LETTERS].rstrip() + " …"
    return {
        "id": row.id,
        "text": text,
        "label": row.label,
        "lines": [
            {
                "systems": _who([by_name[name].rank for name in names if name in by_name]),
                "names": names if len(row.answers) <= 3 else [],
                "answers": [
                    {"answer": answer, "right": answer == row.label, "share": "" if share > 0.999 else f"{share:.0%}"}
                    for answer, share in key
                ],
            }
            for key, names in alike.items()
        ],
    }


def _who(numbers: list[int]) -> str:
    return f"{'system' if len(numbers) == 1 else 'systems'} {words.ranks(numbers)}" if numbers else ""
