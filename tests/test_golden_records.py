"""What was saved before components moved goes on working: artifacts of format 1, resumed runs, comparisons, YAMLs.

The runs in `fixtures/format1` were made by Noria as it was then, and nothing in them has been changed since.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from tests.conftest import latest

from noria.config.hashing import config_hash

FIXTURES = Path(__file__).parent / "fixtures" / "format1"
Noria = Callable[..., int]
FIT = [
    "model=hub",
    "model.name=encoder",
    "data=table",
    "data.path=reviews.csv",
    "data.max_length=32",
    "precision=fp32",
    "logger=csv",
    "optimizer.lr=3e-2",
    "trainer.accelerator=cpu",
]
"""The command of the runs in the fixtures; they had 6 epochs, and the stopped one was to have 60."""


@pytest.fixture(autouse=True)
def _fits_of_before(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES, tmp_path, dirs_exist_ok=True)


def record(folder: str) -> dict[str, Any]:
    return json.loads(Path(folder, "record.json").read_text())


@pytest.mark.parametrize("name", ["done", "other", "language_model"])
def test_a_saved_artifact_measures_the_same(noria: Noria, name: str) -> None:
    assert noria(f"artifact=fits/{name}/artifact", "paths.run_dir=runs/again") == 0
    before, now = record(f"fits/{name}"), record("runs/again")
    of_test = {key: found for key, found in before["metrics"].items() if key.startswith("test/")}
    assert of_test and now["metrics"].keys() == of_test.keys()
    for key, found in of_test.items():
        for part in ("value", "low", "high"):
            assert now["metrics"][key][part] == pytest.approx(found[part], rel=1e-6, abs=1e-9), (key, part)
        assert (now["metrics"][key]["n"], now["metrics"][key]["method"]) == (found["n"], found["method"])
    assert now["data"]["fingerprints"] == before["data"]["fingerprints"]


@pytest.mark.parametrize("name", ["done", "language_model"])
def test_a_saved_artifact_answers_each_row_as_before(noria: Noria, name: str) -> None:
    assert noria(f"artifact=fits/{name}/artifact", "paths.run_dir=runs/again") == 0
    then = pq.read_table(f"fits/{name}/predictions.parquet").to_pandas()
    then = then[then.split == "test"].reset_index(drop=True)
    now = pq.read_table("runs/again/predictions.parquet").to_pandas()
    assert len(then) and list(now["id"]) == list(then["id"]) and set(then.columns) <= set(now.columns)
    assert now["loss"].to_numpy() == pytest.approx(then["loss"].to_numpy(), rel=1e-5)
    if name == "done":
        assert list(now.label) == list(then.label) and list(now.prediction) == list(then.prediction)


def test_a_stopped_fit_goes_on(noria: Noria) -> None:
    assert noria("resume=fits/stopped") == 0
    found = record("fits/stopped")
    assert found["status"] == "done" and len(found["resumed"]) == 1
    assert [row["epoch"] for row in found["history"]] == list(range(1, 61))


def test_a_stopped_fit_is_found_by_its_config(noria: Noria) -> None:
    shutil.copytree("fits/stopped", "runs/table/stopped")
    assert noria(*FIT, "trainer.max_epochs=60", "resume=auto", "paths.run_dir=runs/table/new") == 0
    assert record("runs/table/stopped")["status"] == "done" and not Path("runs/table/new").exists()


def test_a_changed_rate_is_still_refused(noria: Noria, capsys: pytest.CaptureFixture[str]) -> None:
    assert noria("resume=fits/stopped", "optimizer.lr=0.5") == 2
    said = capsys.readouterr().err
    assert "optimizer.lr: was 0.03, would be 0.5" in said and "_target_" not in said


def test_saved_runs_are_compared_with_one_another_and_with_new_ones(noria: Noria) -> None:
    assert noria(*FIT, "trainer.max_epochs=6", "seed=1", "paths.run_dir=fits/new") == 0
    words = ["stage.runs=[fits/done,fits/other,fits/new]", "stage.split=val", "paths.run_dir=fits/compared"]
    assert noria("stage=compare", "logger=csv", *words) == 0
    found = record("fits/compared")["comparison"]
    assert (found["runs"], found["systems"]) == (3, 2)  # the new one is another seed of an old one


def test_a_saved_artifact_answers_requests(noria: Noria, tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text\na wonderful film\n")
    assert noria("stage=predict", "artifact=fits/done/artifact", "input=texts.csv", "stage.output=out.jsonl") == 0
    assert json.loads(Path("out.jsonl").read_text())["prediction"] in ("good", "bad")


def test_a_yaml_of_ones_own_names_components_as_before(noria: Noria, tmp_path: Path) -> None:
    own = tmp_path / "own" / "data"
    own.mkdir(parents=True)
    node = {"_target_": "noria.data.table.TableData", "path": "reviews.csv", "max_length": 32}
    (own / "mine.yaml").write_text(yaml.safe_dump(node))
    words = ["data=mine", "model=hub", "model.name=encoder", "precision=fp32", "logger=csv", "trainer.max_epochs=1"]
    assert noria("--config-dir=own", *words) == 0
    typed = ["data=table", "data.path=reviews.csv", "data._target_=noria.data.table.TableData", "data.max_length=32"]
    assert noria(*typed, *words[1:]) == 0
    assert latest()["config"]["data"]["_target_"] == "noria.data.source.table.TableData"


def test_the_hash_of_a_config_does_not_depend_on_where_its_components_lie() -> None:
    config = yaml.safe_load((FIXTURES / "fits/done/config.yaml").read_text())
    text = (FIXTURES / "fits/done/config.yaml").read_text()
    moved = yaml.safe_load(text.replace("noria.data.table", "noria.data.source.table"))
    assert config != moved and config_hash(config) == config_hash(moved)
