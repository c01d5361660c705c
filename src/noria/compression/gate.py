"""Whether an artifact that was made of another one answers as that one does. Knows not how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from noria.comparison.against import TESTS, against_single_run
from noria.comparison.common_rows import ALWAYS
from noria.comparison.rules import Rules
from noria.compression.pace import Pace
from noria.inference.evaluation import Evaluation
from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.statistics.estimate import Estimate
from noria.statistics.proportion import wilson
from noria.statistics.resample import example_counts
from noria.task.form import Form

SAME = ("class", "classes", "tags", "text")  # contents of answers that are the same or not
NEAR = ("number", "shares")  # of those that are nearer or farther
BEFORE, AFTER = "before", "after"  # the artifact that was there, and what was made of it


def judged(
    form: Form, metrics: Mapping[str, Metric], before: Evaluation, after: Evaluation, rules: Rules
) -> dict[str, Any]:
    """How two artifacts' answers to the same rows differ, as plain values.

    Args:
        metrics: those that are judged: of each, whether the second is no worse than the first within `rules.margin`, by
            a paired test on the same rows.

    Returns:
        `agreement`, the share of rows with the same answer, with its interval; `largest_difference` of the numbers
        among the answers, by column; and by metric both values, the difference with its interval, the p of "worse by
        the margin or more" and whether it `holds`.
    """
    tables = [one.predictions.drop_columns(list(ALWAYS)) for one in (before, after)]
    first, second = (form.read(table) for table in tables)
    found: dict[str, Any] = {"split": before.split, "rows": first.rows, "margin": rules.margin, "alpha": rules.alpha}
    answers = {name: content for name, content in form.contents_of().items() if name not in (*form.truth, "loss")}
    same = [name for name, content in answers.items() if content in SAME and name in first and name in second]
    if same:
        equal = [one == other for one, other in zip(*(_rows(table, same) for table in tables), strict=True)]
        found["agreement"] = wilson(sum(equal), len(equal)).as_dict()
    near = [name for name, content in answers.items() if content in NEAR and name in first and name in second]
    found["largest_difference"] = {name: float(np.nanmax(np.abs(first[name] - second[name]))) for name in near}
    found["metrics"] = {
        name: _metric(metric, before.estimates[name].as_dict(), after.estimates[name].as_dict(), first, second, rules)
        for name, metric in metrics.items()
        if metric.fits(first) and metric.fits(second)
    }
    return found


def _rows(table: pa.Table, names: list[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(table[name].to_pylist() for name in names), strict=True))


def _metric(
    metric: Metric, was: dict[str, Any], now: dict[str, Any], before: Answers, after: Answers, rules: Rules
) -> dict[str, Any]:
    first, second = (metric.features(answers).astype(np.float32) for answers in (before, after))
    counts = None if metric.shape in TESTS else example_counts(len(first), rules.resamples, rules.seed)
    (found,) = against_single_run(second[None], first, metric, counts, rules)
    holds = bool(found.no_worse < rules.alpha)
    return {
        "before": was,
        "after": now,
        "difference": found.estimate.as_dict(),
        "test": found.test,
        "no_worse": None if math.isnan(found.no_worse) else float(found.no_worse),  # JSON has no NaN
        "holds": holds,
    }


def speaks_against(found: Mapping[str, Any], pace: Mapping[str, Pace]) -> list[str]:
    """In words what speaks against the second artifact; nothing where it is no worse and not shown to be slower.

    Args:
        found: what `judged` gives.
        pace: of both (`noria.compression.pace.paces`).
    """
    said = [
        f"{name}: {one['before']['value']:.4f} before, {one['after']['value']:.4f} after; not shown to be no worse "
        f"within {found['margin']:g}, {_p(one['no_worse'])}"
        for name, one in found["metrics"].items()
        if not one["holds"]
    ]
    first, second = pace[BEFORE].as_dict(), pace[AFTER].as_dict()
    times = pace[AFTER].times(pace[BEFORE])
    if times["p50_ms"].low > 1:
        said.append(_slower(f"ms for one {pace[BEFORE].of}", first["p50_ms"], second["p50_ms"], times["p50_ms"]))
    if times["examples_per_second"].high < 1:
        rates = first["examples_per_second"], second["examples_per_second"]
        said.append(_slower(f"{pace[BEFORE].of}s/s", *rates, times["examples_per_second"]))
    return said


def _slower(words: str, first: float, second: float, times: Estimate) -> str:
    return f"slower, {words}: {first:.3g} before, {second:.3g} after, {times} times"


def _p(value: float | None) -> str:
    return "the test is undefined on these rows" if value is None else f"p {value:.2g}"
