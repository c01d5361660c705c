"""Ways to make an artifact smaller as one sweep, compared with the artifact they were made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from noria.common.paths import conf_dir

STEPS = "stage.steps=[bfloat16],[quantize_int8],[{prune_structured:{neurons:0.5}},quantize_int8]"


def test_the_sweep_that_is_shipped_names_steps_that_there_are() -> None:
    searched = yaml.safe_load((conf_dir() / "hparams_search/pareto.yaml").read_text())["hydra"]["sweeper"]["params"]
    found = yaml.safe_load(f"[{searched['stage.steps'].replace(':', ': ')}]")
    names = {next(iter(step)) if isinstance(step, dict) else step for steps in found for step in steps}
    assert len(found) > 2 and names <= {path.stem for path in (conf_dir() / "compression").glob("*.yaml")}


def test_the_smallest_that_is_no_worse_is_found(
    fitted: Path, noria: Callable[..., int], run_notebook: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compress", f"artifact={fitted}/artifact", "hparams_search=pareto", STEPS, "sweep=smaller", "-m"]
    assert noria(*words, "logger=csv", "stage.margin=0.5") == 0
    runs = [Path(path).parent for path in sorted(Path("runs/default/smaller").glob("*/record.json"))]
    records = [json.loads((run / "record.json").read_text()) for run in runs]
    assert [record["stage"] for record in records] == ["compress"] * 3
    for run, record in zip(runs, records, strict=True):
        assert set(pq.read_table(run / "predictions.parquet")["split"].to_pylist()) == {"val"}
        assert record["metrics"]["val/accuracy"]["low"] <= record["metrics"]["val/accuracy"]["high"]
        assert record["paths"]["source"] == str((fitted / "artifact").resolve())
    sizes = {json.dumps(record["config"]["stage"]["steps"]): record["costs"]["after"]["bytes"] for record in records}
    capsys.readouterr()
    words = ["stage=compare", f"stage.runs=[smaller,{fitted}]", f"stage.baseline={fitted}", "stage.within=0.5"]
    assert noria(*words, "logger=csv", "paths.run_dir=compared") == 0
    result = json.loads(Path("compared/comparison.json").read_text())
    assert {one["settings"]["made by"] for one in result["systems"]} == {
        None, "bfloat16", "quantize_int8", "prune_structured(neurons=0.5)+quantize_int8",
    }  # fmt: skip
    smallest = min(sizes, key=lambda steps: sizes[steps])
    assert "prune_structured" in smallest and result["smallest"] == next(
        one["name"] for one in result["systems"] if str(one["settings"]["made by"]).startswith("prune_structured")
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "The smallest that is no worse than" in said and f"({min(sizes.values()) / 1e6:,.1f} MB" in said
    pictures = {path.stem for path in Path("compared/plots").iterdir()}
    assert {"against_latency", "against_bytes"} <= pictures
    said = run_notebook("06_make_it_smaller", NORIA_SMALLER=Path("runs/default/smaller").resolve())
    assert "3 ways to make" in said and "on the front, the quickest first" in said


def test_runs_of_which_nobody_knows_the_size_are_refused(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert noria("stage=compare", f"stage.runs=[{fitted}]", "stage.within=0.01", "logger=csv") == 2
    assert "was not measured. It is by stage=compress and stage=export" in " ".join(capsys.readouterr().err.split())
