"""Models and texts that do not fit each other, from the command line: fit, evaluate and predict all hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from noria.common.console import say_once


@pytest.fixture(autouse=True)
def unsaid() -> None:
    say_once.cache_clear()


def base(made: ModuleType, folder: Path, family: str, **own: Any) -> Path:
    torch.manual_seed(0)
    auto = AutoModelForCausalLM if own.pop("decoder", False) else AutoModelForSequenceClassification
    auto.from_config(made.tiny_config(family, own.pop("vocabulary", 320), **own)).base_model.save_pretrained(folder)
    made.make_tokenizer().save_pretrained(folder)
    return folder


def table(path: Path, end: str) -> Path:
    """Texts of uneven length, each third of which ends in `end`."""
    rows = [f"film {n}: {'good ' * (n % 5 + 1) if n % 2 else 'bad '}{end if n % 3 else ''}" for n in range(60)]
    lines = [f"{text.strip()},{'good' if n % 2 else 'bad'}" for n, text in enumerate(rows)]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def fit(model: Path, data: Path, *more: str) -> list[str]:
    words = ["model=hub", f"model.name={model}", "data=table", f"data.path={data}", "trainer.max_epochs=1"]
    return [*words, "precision=fp32", "logger=csv", "optimizer.lr=1e-3", *more]


def test_the_end_of_a_sequence_inside_a_text(
    made: ModuleType, noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, data = base(made, tmp_path / "model", "t5"), table(tmp_path / "rows.csv", " </s> see <pad>")
    assert noria(*fit(model, data, "model.architecture=both", "data.max_length=64")) == 0
    assert "hold </s> or <pad>, which is read as text" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "new.jsonl").write_text('{"text": "good </s></s> film"}\n{"text": "<pad>"}\n{"text": "bad"}\n')
    assert noria("stage=predict", "artifact=runs/latest/artifact", "input=new.jsonl", "stage.output=out.jsonl") == 0
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(answers) == 3 and all(answer["prediction"] in ("good", "bad") for answer in answers)


def test_a_short_table_of_positions(
    made: ModuleType, noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RoBERTa's table of 40 has room for 38 tokens; the tokenizer says nothing of that."""
    model = base(made, tmp_path / "model", "roberta", max_position_embeddings=40)
    data = table(tmp_path / "rows.csv", "and so on " * 20)
    assert noria(*fit(model, data, "data.max_length=100")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "data.max_length=100, but this model reads 38 tokens at most: longer texts are cut there" in said
    artifact = Path("runs/latest/artifact")
    assert AutoTokenizer.from_pretrained(artifact).model_max_length == 38
    assert noria("stage=evaluate", f"artifact={artifact}", "data.max_length=200") == 0


def test_a_long_evaluation_of_an_artifact_that_was_trained_on_short_texts(
    made: ModuleType, noria: Callable[..., int], tmp_path: Path
) -> None:
    model = base(made, tmp_path / "model", "bert", max_position_embeddings=40)
    data = table(tmp_path / "rows.csv", "and so on " * 20)
    assert noria(*fit(model, data, "data.max_length=16")) == 0
    assert noria("stage=evaluate", "artifact=runs/latest/artifact", "data.max_length=200") == 0


def test_a_decoder_without_an_embedding_for_a_word_is_refused_before_it_learns(
    made: ModuleType, noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    tokenizer = made.make_tokenizer()
    AutoModelForCausalLM.from_config(made.tiny_config("llama", len(tokenizer))).save_pretrained(tmp_path / "model")
    tokenizer.add_tokens(["wombat"])
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n\n".join(f"The wombat of film {n} is good." * 50 for n in range(8)))
    words = ["task=causal_lm", "model=hub", "model.architecture=decoder", f"model.name={tmp_path / 'model'}"]
    words += ["data=text", f"data.path={tmp_path / 'texts.txt'}", "logger=csv", "data.max_length=32"]
    words += ["data.val_fraction=0", "data.test_fraction=0"]
    assert noria(*words) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the tokenizer makes tokens for which the model has no embedding (wombat)" in said


def test_a_head_for_other_names(
    made: ModuleType, noria: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    config = made.tiny_config("bert", 320)
    config.id2label, config.label2id = {0: "fresh", 1: "rotten"}, {"fresh": 0, "rotten": 1}
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "model")
    made.make_tokenizer().save_pretrained(tmp_path / "model")
    data = table(tmp_path / "rows.csv", "")
    assert noria(*fit(tmp_path / "model", data)) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "head for other labels: fresh, rotten. Those of this data are bad, good" in said
    assert noria(*fit(tmp_path / "model", data, "model.head_labels=[good,bad]")) == 0
    assert json.loads(Path("runs/latest/artifact/config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}
