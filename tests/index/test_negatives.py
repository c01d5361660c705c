"""Hard negatives: near, wrong, and not so near that they are likely right; through the command line to a fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.task.text_embedding.case import PAIRS

from noria.index.negatives import hard_negatives


def at(*cosines: float) -> np.ndarray:
    """Vectors with these cosines to the first axis."""
    return np.array([[one, np.sqrt(1 - one**2)] for one in cosines], np.float32)


def test_what_is_nearly_as_near_as_the_right_one_is_left_out() -> None:
    queries, documents = ["q", "q", "r", "s"], ["right", "right too", "near", "far"]
    asked, made = at(1, 1, 1, 1), at(0.9, 0.8, 0.88, 0.5)
    found = list(hard_negatives(queries, documents, asked, made, 1, 0.95, 10))
    assert {(one["query"], one["document"], *one["negatives"]) for one in found} == {
        ("q", "right", "far"),  # "near" is too near, "right too" is right
        ("q", "right too", "far"),
        ("r", "near", "right too"),
    }
    loose = list(hard_negatives(queries, documents, asked, made, 1, 1.0, 10))
    assert loose[0]["negatives"] == ["near"]
    assert not list(hard_negatives(queries, documents, asked, made, 3, 0.95, 10))


def test_mined_pairs_are_learnt_from(noria: Callable[..., int], tiny_model: Path) -> None:
    Path("pairs.jsonl").write_text(PAIRS)
    words = ["task=embedding", "data=pairs", "model=hub", f"model.name={tiny_model}", "logger=csv", "precision=fp32"]
    mine = ["stage=mine", "data.path=pairs.jsonl", "stage.output=mined.jsonl", "stage.count=2", "stage.margin=1.0"]
    assert noria(*words, *mine, "paths.run_dir=mined") == 0
    rows = [json.loads(line) for line in Path("mined.jsonl").read_text().splitlines()]
    found = json.loads(Path("mined/record.json").read_text())["mined"]
    assert len(rows) == found["written"] > 50 and found["written"] + found["left_out"] == found["pairs"] == 140
    right = {row["query"]: row["document"] for row in rows}
    assert all(len(row["negatives"]) == 2 and right[row["query"]] not in row["negatives"] for row in rows)
    fit = ["data.path=mined.jsonl", "data.negatives=negatives", "trainer.max_epochs=1", "data.max_length=32"]
    assert noria(*words, *fit, "paths.run_dir=fit") == 0
    assert noria(*words, *mine, "stage.count=200", "stage.overwrite=true", "paths.run_dir=none") == 2
