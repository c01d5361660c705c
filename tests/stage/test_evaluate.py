from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest


@pytest.fixture
def evaluate(noria: Callable[..., int], fitted: Path, tmp_path: Path) -> Callable[..., tuple[dict[str, Any], Path]]:
    """evaluate(*words): evaluates the fitted artifact; the record and the run folder."""

    def run(*words: object) -> tuple[dict[str, Any], Path]:
        before = set(tmp_path.glob("runs/evaluate/*"))
        assert noria("stage=evaluate", f"artifact={fitted / 'artifact'}", *words) == 0
        (folder,) = set(tmp_path.glob("runs/evaluate/*")) - before
        return json.loads((folder / "record.json").read_text()), folder

    return run


@pytest.fixture
def fit_record(fitted: Path) -> dict[str, Any]:
    return json.loads((fitted / "record.json").read_text())


@pytest.mark.parametrize("split", ["test", "val"])
def test_the_numbers_are_those_that_the_fit_recorded(split, evaluate, fitted, fit_record):
    record, folder = evaluate(f"stage.split={split}")
    expected = {name: value for name, value in fit_record["metrics"].items() if name.startswith(f"{split}/")}
    assert record["metrics"] == expected and len(expected) == 3
    assert record["status"] == "done" and record["stage"] == "evaluate"
    rows, of_fit = (pq.read_table(run / "predictions.parquet").to_pylist() for run in (folder, fitted))
    assert rows == [row for row in of_fit if row["split"] == split] and rows
    assert record["data"]["fingerprints"] == fit_record["data"]["fingerprints"]


def test_looks_at_the_test_set_are_counted_and_others_are_not(evaluate, tmp_path, make_table):
    assert "test_looks" not in evaluate("stage.split=val")[0]
    assert [evaluate()[0]["test_looks"] for _ in range(2)] == [1, 2]
    assert evaluate(f"data.path={make_table(60)}")[0]["test_looks"] == 1, "another test set has its own count"
    assert len((tmp_path / "runs/test_looks.jsonl").read_text().splitlines()) == 3


@pytest.fixture
def make_table(tmp_path: Path) -> Callable[[int], Path]:
    """make_table(rows): a table like the reviews, of other columns and other texts."""

    def make(rows: int) -> Path:
        path = tmp_path / "other.csv"
        lines = [f"{('good', 'bad')[n % 2]},picture {n} was {('superb', 'stale')[n % 2]}" for n in range(rows)]
        path.write_text("\n".join(["label,text", *lines]) + "\n")
        return path

    return make


def test_what_is_typed_goes_over_the_artifact(evaluate, make_table, fit_record):
    words = [f"data.path={make_table(80)}", "data.test_fraction=0.5", "metric=[matthews]"]
    record, folder = evaluate(*words)
    rows = pq.read_table(folder / "predictions.parquet")
    assert set(record["metrics"]) == {"test/loss", "test/matthews"}
    assert record["metrics"]["test/loss"]["n"] == rows.num_rows == record["data"]["rows"]["test"] > 25
    assert record["data"]["fingerprints"]["test"] != fit_record["data"]["fingerprints"]["test"]
    assert set(rows["id"].to_pylist()) <= {f"other.csv:{n}" for n in range(1, 81)}
    # the names stand in the artifact's order, whatever the file's
    for row in rows.to_pylist():
        assert row["label"] == ("good", "bad")[(int(row["id"].partition(":")[2]) - 1) % 2]
        assert row["prediction"] == ("bad", "good")[row["probabilities"][1] > row["probabilities"][0]]
    assert record["data"]["rows_trained_on"] == 0


def test_rows_that_the_artifact_was_trained_on_are_told(evaluate, capsys, fit_record):
    record, _ = evaluate("stage.split=train")
    rows = fit_record["data"]["rows"]["train"]
    assert record["data"]["rows_trained_on"] == rows
    assert f"trained on {rows} of these {rows} texts" in " ".join(capsys.readouterr().out.split())


def test_latest_stays_with_the_fit(noria, tiny, tmp_path):
    assert noria(*tiny, "metric=[accuracy]") == 0
    latest = (tmp_path / "runs/latest").resolve()
    for _ in range(2):
        assert noria("stage=evaluate", "artifact=runs/latest/artifact") == 0
        assert (tmp_path / "runs/latest").resolve() == latest
    looks = [
        json.loads(path.read_text())["test_looks"] for path in sorted(tmp_path.glob("runs/evaluate/*/record.json"))
    ]
    assert sorted(looks) == [2, 3], "the fit was the first"


def test_a_limit_of_train_that_limits_nothing_is_said(
    noria: Callable[..., int], fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert noria("stage=evaluate", f"artifact={fitted}/artifact", "data.limit=5", "logger=csv") == 0
    assert "data.limit=5 was typed and limits train alone" in " ".join(capsys.readouterr().out.split())
