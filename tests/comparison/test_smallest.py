"""The smallest artifact that is no worse: chosen by its bytes among those that were shown to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.comparison.result import BETTER, CANNOT_TELL, NO_WORSE, WORSE, Comparison, Difference, System
from noria.comparison.runs import find_runs
from noria.comparison.smallest import smallest
from noria.comparison.systems import group
from noria.statistics.estimate import Estimate

Make = Callable[..., Path]
ESTIMATE = Estimate(0.9, 0.88, 0.92, 100, "made")


def compared(**verdicts: str | None) -> Comparison:
    """Systems by name with the verdict on each, the best first; None: the baseline."""
    found = []
    for rank, (name, verdict) in enumerate(verdicts.items(), 1):
        gap = None if verdict is None else Difference(ESTIMATE, 0.5, 0.5, "made", verdict, 0.01)
        found.append(System(rank, name, {}, (), (0,), (0.9,), ESTIMATE, float("nan"), gap))
    base = next(name for name, verdict in verdicts.items() if verdict is None)
    return Comparison("accuracy", "max", "val", 100, base, 0.01, 0.05, "holm", tuple(found))


def test_it_is_the_one_with_the_fewest_bytes_that_was_shown_to_be_no_worse() -> None:
    found = compared(half=BETTER, whole=None, int8=NO_WORSE, tiny=WORSE, unsure=CANNOT_TELL)
    sizes = {"half": (50.0,), "whole": (100.0,), "int8": (26.0, 24.0), "tiny": (5.0,), "unsure": (10.0,)}
    assert smallest(found, sizes).name == "int8"
    assert smallest(found, {**sizes, "int8": (50.0,)}).name == "half", "of two with as many the better one"
    assert smallest(compared(whole=None, tiny=WORSE), sizes).name == "whole", "none is no worse"


def test_a_size_that_nobody_measured_is_no_size() -> None:
    with pytest.raises(UserError, match="how large int8 is was not measured"):
        smallest(compared(whole=None, int8=NO_WORSE), {"whole": (100.0,)})


def test_runs_that_make_artifacts_are_told_apart_by_how(make_runs: Make) -> None:
    folder = make_runs("made", seeds=4)
    steps = [[], ["quantize_int8"], ["quantize_int8"], [{"prune_structured": {"neurons": 0.25}}, "quantize_int8"]]
    for number, each in enumerate(steps):
        path = folder / f"made-{number}" / "record.json"
        record = json.loads(path.read_text())
        record |= {"stage": "compress", "costs": {"after": {"bytes": 10.0 * number}}}
        record["config"]["stage"] = {"_target_": "noria.stage.compress.compress", "steps": each, "output": f"o{number}"}
        path.write_text(json.dumps(record))
    groups, _ = group(find_runs([str(folder)], Path("runs"))[0])
    assert [one.settings["made by"] for one in groups] == [
        "nothing", "quantize_int8", "prune_structured(neurons=0.25)+quantize_int8",
    ]  # fmt: skip
    assert [run.costs["after"]["bytes"] for run in groups[1].runs] == [10.0, 20.0], "two seeds of one way"


def test_a_better_artifact_counts_as_no_worse() -> None:
    found = compared(whole=None, small=BETTER)
    assert smallest(replace(found, systems=found.systems[::-1]), {"whole": (2.0,), "small": (1.0,)}).name == "small"
