"""What the page of a comparison says: sentences and numbers in words. Marks up names, and nothing else."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from markupsafe import Markup

from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference, System
from noria.report.table import short_p
from noria.report.table import signed as signed_plain

CORRECTIONS = {"holm": "Holm", "fdr_bh": "Benjamini and Hochberg"}
SAYING = {
    BETTER: ("is better", "are better"),
    NO_WORSE: ("is no worse within the margin", "are no worse within the margin"),
    CANNOT_TELL: ("cannot be told from it", "cannot be told from it"),
    WORSE: ("is worse", "are worse"),
}


def summary(comparison: Comparison) -> list[Markup]:
    """Who is best, whether that is better than the baseline and by how much; then how the others do."""
    best = comparison.systems[0]
    most = "highest" if comparison.mode == "max" else "lowest"
    has = Markup("{} has the {} {} on {}, {}").format(
        code(best.name), most, comparison.metric, comparison.split, str(best.estimate)
    )
    others = [system.difference for system in comparison.systems if system.difference is not None]
    if not others:
        return [Markup("There is one system, and so nothing to compare: {} has {} {} on {}.").format(
            code(best.name), comparison.metric, str(best.estimate), comparison.split
        )]  # fmt: skip
    if best.difference is None:
        return [Markup("No system is ahead of the baseline: {}.").format(has), Markup(_counts(others))]
    return [_lead(comparison, best, best.difference, has, others), *([Markup(_counts(others))] if others[1:] else [])]


def _lead(
    comparison: Comparison, best: System, difference: Difference, has: Markup, others: list[Difference]
) -> Markup:
    by = f"{signed(difference)}, {p_of(difference, comparison)}"
    base = code(comparison.baseline)
    if difference.verdict == BETTER:
        return Markup("{}; that is better than the baseline {}, by {}.").format(has, base, by)
    if difference.verdict == NO_WORSE:
        text = "{}; that is not shown to be better than the baseline {}, but no worse within the margin of {:g}: {}.{}"
        return Markup(text).format(has, base, comparison.margin, by, _smallest(difference))
    nothing = all(one.verdict == CANNOT_TELL for one in others)
    start = Markup("Nothing can be told apart: ") if nothing else Markup("")
    text = "{}{}, but the difference to the baseline {} may be chance: {}.{}"
    return Markup(text).format(start, has, base, by, _smallest(difference))


def _smallest(difference: Difference) -> str:
    if not math.isfinite(difference.smallest):
        return ""
    return f" A difference of {difference.smallest:.2g} or more would have shown (with a power of 80 %)."


def _counts(others: list[Difference]) -> str:
    if len(others) == 1:
        return f"The other one {SAYING[others[0].verdict][0]}: {signed(others[0])}."
    said = Counter(one.verdict for one in others)
    parts = [f"{said[verdict]:,} {one if said[verdict] == 1 else more}"
             for verdict, (one, more) in SAYING.items() if said[verdict]]  # fmt: skip
    return f"Of {len(others):,} systems compared to the baseline, {listed(parts)}."


def listed(parts: list[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def signed(difference: Difference) -> str:
    """The difference with its interval, with signs as they are printed."""
    return signed_plain(difference).replace("-", "−")  # noqa: RUF001


def p_of(difference: Difference, comparison: Comparison) -> str:
    """`adjusted p = 0.012`."""
    text = short_p(difference.p_adjusted)
    if not text:
        return "p not known"
    equals = "" if text.startswith("<") else "= "
    return f"{'adjusted ' if comparison.correction in CORRECTIONS else ''}p {equals}{text.replace('<', '< ')}"


def code(name: str) -> Markup:
    return Markup("<code>{}</code>").format(name)


def hint(difference: Difference) -> str:
    """What it would have taken, where nothing was shown; and how sure it is that it is no worse."""
    if difference.verdict in (BETTER, WORSE):
        return ""
    parts = []
    if math.isfinite(difference.smallest):
        seeds = f"; {difference.seeds_needed:,} seeds would show it" if difference.seeds_needed else ""
        parts.append(f"visible from {difference.smallest:.2g}{seeds}")
    if p := short_p(difference.no_worse_adjusted):
        parts.append(f"no worse: p {'' if p.startswith('<') else '= '}{p.replace('<', '< ')}")
    return "; ".join(parts)


def ranks(numbers: list[int]) -> str:
    """Numbers, of which runs of three or more are joined by a dash."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    return ", ".join(
        f"{span[0]}–{span[-1]}" if len(span) > 2 else ", ".join(map(str, span))  # noqa: RUF001
        for span in spans
    )


def tried(values: list[Any]) -> str:
    """The values of a setting: each if they are few, else from where to where."""
    present = [value for value in values if value is not None]
    distinct = list(dict.fromkeys(spelt(value) for value in present))
    rest = " or not set" if len(present) < len(values) else ""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in present)
    if numeric:
        distinct = list(dict.fromkeys(spelt(value) for value in sorted(present)))
    if len(distinct) <= 8:
        return ", ".join(distinct) + rest
    if numeric:
        return f"{len(distinct):,} values from {distinct[0]} to {distinct[-1]}{rest}"
    return ", ".join(distinct[:8]) + f" and {len(distinct) - 8:,} more{rest}"


def spelt(value: Any) -> str:
    """A value as a config has it: numbers in four digits."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
