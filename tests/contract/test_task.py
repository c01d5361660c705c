"""Every task YAML through a whole fit by the command line, on data that fits it: what it leaves, others can open."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

GROUP = "task"

# The metrics that are measured, and the table that fits the task; a decoder reads conversations.
SPECIAL: dict[str, tuple[str, str | None]] = {
    "causal_lm": ("[perplexity]", None),
    "multilabel_classification": ("[f1,accuracy,auroc]", "several"),
    "text_classification": ("[accuracy,f1]", "one"),
    "text_regression": ("[pearson,spearman,mse,mae]", "number"),
}


ELSEWHERE = (
    "embedding",
    "question_answering",
    "seq2seq",
    "similarity",
    "token_classification",
)  # tests/task/test_contract.py has them through a whole fit


def test_the_yamls_are_found(found: list[str]) -> None:
    assert set(found) == {*SPECIAL, *ELSEWHERE}, "a new task needs a table that fits it"


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """Three tables of 120 texts: one label, several labels `a|b` (or none), a number."""
    rng = random.Random(0)
    words = ["warm", "cold", "loud", "slow", "odd"]
    paths = {}
    for name in ("one", "several", "number"):
        paths[name] = tmp_path / f"{name}.csv"
        with paths[name].open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "label"])
            for number in range(120):
                chosen = sorted(rng.sample(words, rng.randint(0, 4)))
                label = {"one": words[number % 3], "several": "|".join(chosen[:3]), "number": f"{len(chosen) / 4}"}
                writer.writerow([f"film {number} was {' and '.join(chosen) or 'nothing'}", label[name]])
    return paths


def measured_rows(record: dict[str, Any], metrics: str, beside: tuple[str, ...] = ()) -> pa.Table:
    """The predictions, once it is sure that each metric is there with its interval, and each row once.

    Args:
        beside: what is measured without being asked for.
    """
    names = [*metrics.strip("[]").split(","), *beside]
    assert set(record["metrics"]) == {f"{split}/{name}" for split in ("val", "test") for name in ["loss", *names]}
    for name, measured in record["metrics"].items():
        assert measured["n"] == record["data"]["rows"][name.partition("/")[0]]
        assert measured["low"] <= measured["value"] <= measured["high"], name
        assert measured["confidence"] == 0.95 and measured["method"]

    rows = pq.read_table("runs/latest/predictions.parquet")
    assert rows.num_rows == record["data"]["rows"]["val"] + record["data"]["rows"]["test"]
    assert len(set(rows["id"].to_pylist())) == rows.num_rows
    return rows


def test_a_whole_fit(life: Callable[..., dict[str, Any]], tables: dict[str, Path], choice: str) -> None:
    if choice in ELSEWHERE or SPECIAL[choice][1] is None:
        pytest.skip("a decoder: below; or of another form")
    metrics, table = SPECIAL[choice]
    rows = measured_rows(life(f"task={choice}", f"metric={metrics}", table=tables[table]), metrics)
    with tables[table].open(newline="") as file:
        given = [line["label"] for line in csv.DictReader(file)]
    for row in rows.to_pylist():
        label = given[int(row["id"].rpartition(":")[2]) - 1]
        if table == "several":
            assert row["label"] == [name for name in label.split("|") if name]
        elif table == "number":
            assert row["label"] == pytest.approx(float(label))
        else:
            assert row["label"] == label


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_a_whole_fit_of_a_decoder(decoder_life: Callable[..., Any], choice: str, adapter: str) -> None:
    if choice in ELSEWHERE or SPECIAL[choice][1] is not None:
        pytest.skip("a classifier: above; or of another form")
    metrics, _ = SPECIAL[choice]
    record, changed = decoder_life(f"task={choice}", f"metric={metrics}", f"model/peft={adapter}")

    linear = {name for name in changed if "proj" in name}
    assert len(linear) == 14, "nothing was learnt"
    assert (changed == linear) is (adapter == "lora"), "an adapter beside the linear layers leaves all others alone"
    assert Path("runs/latest/artifact/adapter").exists() is (adapter == "lora")

    rows = measured_rows(record, metrics, ("bits_per_byte", "word_perplexity")).to_pylist()
    for split in ("val", "test"):
        there = [row for row in rows if row["split"] == split]
        loss = math.fsum(row["loss"] * row["tokens"] for row in there) / sum(row["tokens"] for row in there)
        assert record["metrics"][f"{split}/loss"]["value"] == pytest.approx(loss)
        assert record["metrics"][f"{split}/perplexity"]["value"] == pytest.approx(math.exp(loss))

    samples = [json.loads(line) for line in Path("runs/latest/samples.jsonl").read_text().splitlines()]
    assert samples and all({"prompt", "reference", "response"} == set(sample) for sample in samples)
