"""`stage=compare` from the command line: what it says, leaves and refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

Noria = Callable[..., int]


def result(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    folder = max((tmp_path / "runs" / "compare").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return json.loads((folder / "comparison.json").read_text()), folder


@pytest.fixture
def two_fits(noria: Noria, tiny: list[str], tmp_path: Path) -> Path:
    """The folder of four tiny fits, two configs over two seeds, that have left the test set alone."""
    for lr in ("1e-3", "1e-2"):
        for seed in (0, 1):
            words = ["stage.test=false", f"optimizer.lr={lr}", f"seed={seed}"]
            assert noria(*tiny, *words, f"paths.run_dir=runs/fits/{lr}-{seed}") == 0
    return tmp_path / "runs" / "fits"


def test_real_fits_are_compared_and_the_test_set_is_opened_once(
    noria: Noria, two_fits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=compare", "stage.runs=[fits]", "stage.baseline='lr=1e-3'", "logger=none"]
    assert noria(*words) == 0
    said = " ".join(capsys.readouterr().out.split())
    found, folder = result(tmp_path)
    assert found["baseline"] == "optimizer.lr=0.001" and found["split"] == "val" and found["winner"] is None
    assert {one["name"]: one["seeds"] for one in found["systems"]} == {
        f"optimizer.lr={lr}": [0, 1] for lr in (0.001, 0.01)
    }
    assert "the rows that chose it" in said and "report.html" in said and "not to be trusted" in said
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "done" and record["comparison"]["runs"] == 4
    page = (folder / "report.html").read_text()
    assert "film " in page or not _disagree(two_fits), "the texts of the rows are shown"
    assert list((folder / "plots").glob("*.png"))
    assert not (tmp_path / "runs" / "test_looks.jsonl").exists(), "the test set stayed closed"

    assert noria(*words, "stage.test=true") == 0
    found, folder = result(tmp_path)
    assert found["winner"]["looks"] == 1 and found["winner"]["name"] == found["systems"][0]["name"]
    assert len((tmp_path / "runs" / "test_looks.jsonl").read_text().splitlines()) == 1
    assert len(list((folder / "test").glob("*.parquet"))) in (2, 4)
    assert "On the test set, which has not chosen it" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("precision", ["fp32", "bf16_true"])
def test_the_test_set_is_measured_in_the_precision_that_was_asked_for(
    noria: Noria, fitted: Path, tmp_path: Path, precision: str
) -> None:
    for lr in (1e-3, 1e-2):  # the same run under two configs; neither has looked at its test set
        folder = tmp_path / "runs" / "fits" / str(lr)
        shutil.copytree(fitted, folder)
        table = pq.read_table(folder / "predictions.parquet")
        pq.write_table(table.filter(pc.equal(table["split"], "val")), folder / "predictions.parquet")
        record = json.loads((folder / "record.json").read_text())
        record["config"]["optimizer"]["lr"] = lr
        record["metrics"] = {name: found for name, found in record["metrics"].items() if name.startswith("val/")}
        (folder / "record.json").write_text(json.dumps(record))
    assert noria("stage=compare", "stage.runs=[fits]", "stage.test=true", f"precision={precision}", "logger=none") == 0
    _, compared = result(tmp_path)
    assert noria("stage=evaluate", f"artifact={fitted / 'artifact'}", f"precision={precision}", "logger=none") == 0
    [evaluated] = (tmp_path / "runs" / "evaluate").glob("*/predictions.parquet")
    expected = pq.read_table(evaluated)["probabilities"].to_pylist()
    measured = [pq.read_table(path)["probabilities"].to_pylist() for path in (compared / "test").iterdir()]
    assert measured and all(found == expected for found in measured)
    of_fit = pq.read_table(fitted / "predictions.parquet")
    same = expected == of_fit.filter(pc.equal(of_fit["split"], "test"))["probabilities"].to_pylist()
    assert same == (precision == "fp32"), "the fit was in fp32"


def _disagree(folder: Path) -> bool:
    import pyarrow.parquet as pq

    said = [pq.read_table(path)["prediction"].to_pylist() for path in folder.glob("*/predictions.parquet")]
    return any(one != said[0] for one in said)


def test_a_winner_whose_test_predictions_are_there_is_told_without_a_look(
    noria: Noria, make_runs: Callable[..., Path], tmp_path: Path
) -> None:
    for name, accuracy in (("a", 0.7), ("b", 0.9)):
        make_runs(name, accuracy=accuracy, optimizer__lr=accuracy, splits=("val", "test"))
    assert noria("stage=compare", "stage.runs=[a,b]", "logger=none") == 0
    found, _ = result(tmp_path)
    assert found["winner"]["name"] == "optimizer.lr=0.9"
    assert found["winner"]["difference"]["verdict"] == "better"
    assert not (tmp_path / "runs" / "test_looks.jsonl").exists()


def test_wandb_gets_the_table_and_the_pictures(noria: Noria, make_runs: Callable[..., Path], tmp_path: Path) -> None:
    make_runs("a"), make_runs("b", optimizer__lr=0.5)
    assert noria("stage=compare", "stage.runs=[a,b]", "logger=wandb") == 0
    _, folder = result(tmp_path)
    kept = [path.name for path in folder.rglob("*") if path.is_file()]
    assert any(name.startswith("comparison_") and name.endswith(".table.json") for name in kept)
    assert any(name.endswith(".png") for name in kept)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "stage=compare needs runs"),
        (["stage.runs=[nothing]"], "'nothing' is no folder, no pattern, and no name"),
        (["stage.runs=[a,b]", "stage.metric=bleu"], "stage.metric=bleu cannot be computed"),
        (["stage.runs=[a,b]", "stage.split=test"], "no predictions of the split test"),
        (["stage.runs=[a,b]", "stage.baseline='lr=7'"], "none of the configs"),
        (["stage.runs=[a,b]", "stage.correction=bonferoni"], "stage.correction"),
        (["stage.runs=[a,b]", "stage.alpha=2"], "stage.alpha"),
        (["stage.runs=['wandb:me']"], "not of the form wandb:"),
        (["stage.runs=['wandb:me/project']"], "WANDB_MODE is offline"),
        (["stage.runs=[a,b]", "artifact=."], "artifact"),
        (["stage.runs=[a]", "input=x.txt"], "input=x.txt is only read by stage=predict"),
    ],
)
def test_a_mistake_gets_one_message(
    noria: Noria, make_runs: Callable[..., Path], words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_runs("a"), make_runs("b", optimizer__lr=0.5)
    assert noria("stage=compare", "logger=none", *words) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error and "Traceback" not in error
