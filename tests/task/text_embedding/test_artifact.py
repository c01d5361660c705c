"""An artifact opens in sentence-transformers with the same vectors, prompts and all; an untrained base is measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.task.text_embedding.case import PAIRS, SIMILAR

TEXTS = ["a superb film", "zebra", "\u4e2d\u6587 film", "the film " * 40]


@pytest.mark.parametrize("pooling", ["mean", "first", "last"])
def test_sentence_transformers_opens_it(
    noria: Callable[..., int], tiny_model: Path, pooling: str, tmp_path: Path
) -> None:
    library = pytest.importorskip("sentence_transformers")
    Path("pairs.jsonl").write_text(PAIRS)
    words = ["task=embedding", "data=pairs", "data.path=pairs.jsonl", "data.max_length=32", f"task.pooling={pooling}"]
    words += ["task.query_prompt='find: '", "task.document_prompt='text: '", "model=hub", f"model.name={tiny_model}"]
    words += ["precision=fp32", "logger=csv", "trainer.max_epochs=1", "trainer.accumulate_grad_batches=2"]
    assert noria(*words, "paths.run_dir=run") == 0
    theirs = library.SentenceTransformer("run/artifact", device="cpu")
    Path("texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    assert noria("stage=predict", "artifact=run/artifact", "input=texts.jsonl", "stage.output=out.jsonl") == 0
    ours = np.array([json.loads(line)["embedding"] for line in Path("out.jsonl").read_text().splitlines()])
    np.testing.assert_allclose(ours, theirs.encode(TEXTS, prompt_name="document"), atol=2e-5)
    assert np.abs(ours - theirs.encode(TEXTS, prompt_name="query")).max() > 1e-3, "the prompt makes no difference"


def test_an_untrained_base_is_measured_as_a_trained_model_is(noria: Callable[..., int], tiny_model: Path) -> None:
    Path("similar.jsonl").write_text(SIMILAR)
    words = ["task=similarity", "data=table", "data.path=similar.jsonl", "data.text=[a,b]", "data.label=score"]
    words += ["model=hub", f"model.name={tiny_model}", "logger=csv", "precision=fp32"]
    assert noria("stage=evaluate", *words, "stage.split=val", "paths.run_dir=base") == 0
    record = json.loads(Path("base/record.json").read_text())
    assert {"val/pearson", "val/spearman", "val/loss"} == set(record["metrics"])
    again = ["artifact=base/artifact", "stage.split=val", "paths.run_dir=again", "logger=csv"]
    assert noria("stage=evaluate", *again) == 0
    assert json.loads(Path("again/record.json").read_text())["metrics"] == record["metrics"]
    assert noria("stage=evaluate", "model=minilm", "paths.run_dir=other") != 0, "a classifier has to be trained"


def test_a_step_is_the_same_however_it_is_cut(noria: Callable[..., int], tiny_model: Path) -> None:
    """32 pairs at once or 4 times 8: as many negatives, the same losses."""
    Path("pairs.jsonl").write_text(PAIRS)
    words = [
        "task=embedding",
        "data=pairs",
        "data.path=pairs.jsonl",
        "data.max_length=32",
        "precision=fp32",
        "logger=csv",
    ]
    words += ["model=hub", f"model.name={tiny_model}", "trainer.max_epochs=2", "optimizer.lr=1e-3"]
    histories = []
    for size, times in ((32, 1), (8, 4)):
        how = [f"data.batch_size={size}", f"trainer.accumulate_grad_batches={times}", f"paths.run_dir=run{size}"]
        assert noria(*words, *how) == 0
        histories.append(json.loads(Path(f"run{size}/record.json").read_text())["history"])
    for one, other in zip(*histories, strict=True):
        assert one["step"] == other["step"] and one["val/loss"] == pytest.approx(other["val/loss"], rel=1e-4)
        assert one["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)
