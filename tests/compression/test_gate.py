"""What is made of an artifact is held against it on the same rows, timed beside it, and marked where it is worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from noria.comparison.rules import Rules
from noria.compression.gate import judged, speaks_against
from noria.compression.pace import Pace
from noria.inference.evaluation import Evaluation
from noria.metric.accuracy import Accuracy
from noria.task.text_classification.form import TextClassificationForm

FORM = TextClassificationForm("single_label", labels=["bad", "good"])
ROWS = 2000


def evaluation(scores: np.ndarray, truth: np.ndarray) -> Evaluation:
    """Predictions of two classes, the second with these probabilities."""
    names = np.array(["bad", "good"])
    columns = {
        "id": [str(number) for number in range(ROWS)],
        "key": [b"0" * 16] * ROWS,
        "split": ["val"] * ROWS,
        "label": names[truth].tolist(),
        "prediction": names[(scores > 0.5).astype(int)].tolist(),
        "probabilities": np.stack([1 - scores, scores], 1).astype(np.float32).tolist(),
        "loss": np.zeros(ROWS).tolist(),
    }
    table = pa.table(columns)
    metrics = {"accuracy": Accuracy()}
    answers = FORM.read(table.drop_columns(["id", "key", "split"]))
    return Evaluation("val", {name: metric.estimate(answers) for name, metric in metrics.items()}, table)


def test_the_same_answers_are_no_worse_and_others_may_be() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, ROWS)
    scores = np.clip(truth * 0.6 + 0.2 + rng.normal(0, 0.2, ROWS), 0, 1)
    first = evaluation(scores, truth)
    found: dict[str, Any] = judged(FORM, {"accuracy": Accuracy()}, first, first, Rules(margin=0.01))
    assert found["rows"] == ROWS and found["agreement"]["value"] == 1 and found["metrics"]["accuracy"]["holds"]
    assert found["largest_difference"] == {"probabilities": 0}
    flipped = scores.copy()
    flipped[:100] = 1 - flipped[:100]
    found = judged(FORM, {"accuracy": Accuracy()}, first, evaluation(flipped, truth), Rules(margin=0.01))
    one = found["metrics"]["accuracy"]
    assert found["agreement"]["value"] == pytest.approx(0.95) and not one["holds"] and one["no_worse"] > 0.05
    assert one["difference"]["value"] == pytest.approx(one["after"]["value"] - one["before"]["value"]) and one["test"]
    assert found["largest_difference"]["probabilities"] == pytest.approx(np.abs(flipped - scores).max(), abs=1e-6)
    wide = judged(FORM, {"accuracy": Accuracy()}, first, evaluation(flipped, truth), Rules(margin=0.2))
    assert wide["metrics"]["accuracy"]["holds"]


def test_only_what_is_shown_to_be_slower_is_called_so() -> None:
    rng = np.random.default_rng(0)
    drift = rng.uniform(1, 5, 200)  # of the machine, in the turns of both

    def pace(times: float) -> Pace:
        noise = rng.normal(1, 0.05, (2, 200))
        return Pace(drift * noise[0] * times, (drift * noise[1] * times)[:15], 100, 8)

    found = {"metrics": {}, "margin": 0.01}
    assert not speaks_against(found, {"before": pace(1), "after": pace(1)})
    assert not speaks_against(found, {"before": pace(1), "after": pace(0.8)})
    slower = speaks_against(found, {"before": pace(1), "after": pace(1.2)})
    assert [one.split(":")[0] for one in slower] == ["slower, ms for one example", "slower, examples/s"]
    assert "1.2" in slower[0] and "0.8" in slower[1]


def test_an_export_is_measured_and_what_speaks_against_it_is_marked(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=export", f"artifact={fitted}/artifact", "logger=csv", "stage.margin=0"]
    assert noria(*words, "paths.run_dir=run") == 0
    said = " ".join(capsys.readouterr().out.split())
    found = json.loads(Path("run/record.json").read_text())["gate"]
    assert found["agreement"]["value"] == 1 and found["largest_difference"]["probabilities"] < 1e-4
    for one in found["pace"].values():
        assert 0 < one["p50_ms"] <= one["p99_ms"] and one["examples_per_second"] > 0
        assert one["peak_memory"] > 50e6, "Python and torch alone"
    for one in found["times"].values():
        assert 0 < one["low"] <= one["value"] <= one["high"]
    assert found["machine"]["cpu"] and found["machine"]["threads"] >= 1 and f"on {found['machine']['cpu']}" in said
    assert not found["metrics"]["accuracy"]["holds"], "nothing is shown to be better by 0 on the same answers"
    assert any("accuracy" in one and "not shown to be no worse within 0" in one for one in found["against"])
    assert "the same answer to 100.0%" in said and "against it: accuracy" in said
    facts = yaml.safe_load(Path("run/artifact/noria.yaml").read_text())
    assert facts["gate"]["against"] == found["against"]
    assert noria("stage=serve", "artifact=run/artifact", "stage.port=0") == 2
    assert "stage.force=true serves it all the same" in " ".join(capsys.readouterr().err.split())


def test_nothing_is_measured_without_rows(fitted: Path, noria: Callable[..., int]) -> None:
    words = ["stage=export", f"artifact={fitted}/artifact", "logger=csv", "stage.split=null", "paths.run_dir=run"]
    assert noria(*words) == 0
    assert "gate" not in json.loads(Path("run/record.json").read_text())
    assert "gate" not in yaml.safe_load(Path("run/artifact/noria.yaml").read_text())


def test_what_was_not_measured_to_the_end_is_marked_and_no_champion(
    fitted: Path, noria: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stage=export", f"artifact={fitted}/artifact", "logger=csv", "paths.run_dir=run", "data.path=gone.csv"]
    assert noria(*words) == 2
    facts = yaml.safe_load(Path("run/artifact/noria.yaml").read_text())
    assert facts["gate"]["against"] == ["it has not been measured to the end"]
    words = ["stage=cycle", "artifact=run/artifact", "stage.registry=registry", "stage.feedback=sqlite:///said.db"]
    assert noria(*words, "logger=csv") == 2
    assert "stage.take_marked=true takes it all the same" in " ".join(capsys.readouterr().err.split())
    assert not list(Path("registry").glob("versions/*"))
    assert noria(*words, "logger=csv", "stage.take_marked=true") == 2, "there is no feedback yet"
    assert "stage.take_marked" not in " ".join(capsys.readouterr().err.split())
