"""What the pictures of a comparison are drawn from: curves, times, sizes, confusion, calibration, disagreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from noria.comparison.common_rows import CommonRows
from noria.comparison.disputed import disputed
from noria.comparison.result import Calibration, Comparison, Curve, Evidence
from noria.comparison.runs import Run
from noria.comparison.systems import Group
from noria.metric.answers import Answers

LOOKED_INTO = 8  # systems whose answers are looked into: the best, and the baseline
BINS = 10
MOST_LABELS = 200  # of a confusion matrix


def gather(
    comparison: Comparison,
    groups: Sequence[Group],
    rows: CommonRows,
    texts: Callable[[list[str]], Mapping[str, str]],
    seed: int,
) -> Evidence:
    """Everything that the runs have of it.

    Args:
        texts: gives the texts of row ids, as far as they are at hand.
        seed: draws among rows that are disputed alike.
    """
    by_name = {one.name: one for one in groups}
    best = [system.name for system in comparison.systems[:LOOKED_INTO]]
    looked = [*best, *([comparison.baseline] if comparison.baseline not in best else [])]
    answers = {name: [rows.answers(run, _columns(rows)) for run in by_name[name].runs] for name in looked}
    classes = rows.holds("class") and len(rows.labels) <= MOST_LABELS
    dispute = None
    if rows.holds("class") and len(answers) > 1:
        rival = comparison.baseline if comparison.baseline != best[0] else best[1]
        dispute = disputed(rows, answers, (best[0], rival), texts, seed)
    return Evidence(
        curves=tuple(curve for name in looked for run in by_name[name].runs if (curve := _curve(name, run))),
        seconds={one.name: found for one in groups if (found := _seconds(one.runs))},
        parameters={one.name: size for one in groups if (size := _parameters(one.runs[0]))},
        latency=costs(groups, "p50_ms"),
        bytes=costs(groups, "bytes"),
        labels=rows.labels if classes else (),
        confusion={name: _confusion(rows, found) for name, found in answers.items()} if classes else {},
        calibration={name: _calibration(found) for name, found in answers.items()} if classes else {},
        dispute=dispute,
    )


def _columns(rows: CommonRows) -> tuple[str, ...]:
    return ("prediction", "probabilities") if rows.holds("class") else ()


def _curve(name: str, run: Run) -> Curve | None:
    history = run.record.get("history") or []
    if not history:
        return None
    series = sorted({key for row in history for key in row if key.startswith(("train/", "val/"))})
    columns = {key: np.array([_number(row.get(key)) for row in history]) for key in series}
    return Curve(name, run.seed, np.array([_number(row.get("step")) for row in history]), columns)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else np.nan


def _seconds(runs: Sequence[Run]) -> tuple[float, ...]:
    found = [(run.record.get("timings") or {}).get("fit_seconds") for run in runs]
    return tuple(float(seconds) for seconds in found if seconds is not None)


def costs(groups: Sequence[Group], name: str) -> dict[str, tuple[float, ...]]:
    """One of the costs of each run, by system; a system that has it of no run is left out.

    That of an artifact that others were made of, and which was measured beside each, is the median.
    """
    beside: dict[Path, list[float]] = {}
    for run in (run for one in groups for run in one.runs if run.costs):
        beside.setdefault(Path(str(run.record["paths"]["source"])), []).append(run.costs["before"][name])

    def of(run: Run) -> list[float]:
        if run.costs:
            return [float(run.costs["after"][name])]
        found = beside.get(run.artifact.resolve())
        return [float(np.median(found))] if found else []

    found = {one.name: tuple(value for run in one.runs for value in of(run)) for one in groups}
    return {system: each for system, each in found.items() if each}


def _parameters(run: Run) -> int | None:
    found = (run.record.get("model") or {}).get("parameters")
    return None if found is None else int(found)


def _confusion(rows: CommonRows, answers: Sequence[Answers]) -> np.ndarray:
    """Counts (labels, labels): rows true, columns predicted, over all runs."""
    size = len(rows.labels)
    places = np.concatenate([found["label"] * size + found["prediction"] for found in answers])
    return np.bincount(places, minlength=size * size).reshape(size, size)


def _calibration(answers: Sequence[Answers]) -> Calibration:
    sure = np.concatenate([found["probabilities"].max(axis=1) for found in answers]).astype(np.float64)
    right = np.concatenate([found["prediction"] == found["label"] for found in answers])
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    confidence, accuracy = (
        np.bincount(place, weights=values, minlength=BINS)[held] / count[held] for values in (sure, right)
    )
    error = float((count[held] * np.abs(confidence - accuracy)).sum() / count.sum())
    return Calibration(confidence, accuracy, count[held], error)
