"""A head that comes with a model: its rows are the labels of the data, or it is refused."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from noria.common.console import say_once
from noria.common.errors import UserError
from noria.model.pretrained import Pretrained

THREE = ["bad", "fair", "good"]


@pytest.fixture(autouse=True)
def unsaid() -> None:
    say_once.cache_clear()


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model with a head for three labels."""
    torch.manual_seed(1)
    network = Pretrained(name=str(tiny_model)).classifier(THREE, "single_label_classification", 0)
    network.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def named(folder: Path, labels: dict[Any, str] | None) -> Path:
    """The folder, with other names in its config, or none."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("id2label")
    config.pop("label2id", None)
    if labels is not None:
        config |= {"id2label": labels, "label2id": {name: int(number) for number, name in labels.items()}}
    else:
        config["num_labels"] = 3
    path.write_text(json.dumps(config))
    return folder


def rows(folder: Path, labels: list[str], **options: Any) -> torch.Tensor:
    """The output layer, weights and bias beside each other, (labels, width + 1)."""
    network = Pretrained(name=str(folder), **options).classifier(labels, "single_label_classification", 0)
    assert network.config.id2label == dict(enumerate(labels))
    return torch.cat([network.classifier.weight, network.classifier.bias[:, None]], 1).detach()


def test_rows_come_into_the_order_of_the_data(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = rows(folder, THREE)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        found = rows(folder, ["good", "bad", "fair"])
    assert torch.equal(found, own[[2, 0, 1]])
    assert "the rows of its head were put in the order of this data: good, bad, fair" in caplog.text


def test_case_and_blanks_are_no_other_names(folder: Path) -> None:
    own = rows(folder, THREE)
    named(folder, {"0": "BAD ", "1": "Fair", "2": " good"})
    assert torch.equal(rows(folder, THREE), own)
    assert torch.equal(rows(folder, ["fair", "good", "bad"]), own[[1, 2, 0]])


def test_names_that_differ_in_case_alone_are_told_apart(folder: Path) -> None:
    own = rows(folder, THREE)
    named(folder, {"0": "us", "1": "US", "2": "it"})
    assert torch.equal(rows(folder, ["US", "it", "us"]), own[[1, 2, 0]])


@pytest.mark.parametrize("other", [["poor", "fair", "great"], ["bad", "fair", "best"], ["0", "1", "2"]])
def test_a_head_for_other_names_is_refused_with_both_ways_out(folder: Path, other: list[str]) -> None:
    words = r"a head for other labels: bad, fair, good\. .*model\.new_head=true .*model\.head_labels=\["
    with pytest.raises(UserError, match=words) as error:
        rows(folder, other)
    assert ", ".join(other) in str(error.value)


def test_both_ways_out(folder: Path) -> None:
    own = rows(folder, THREE)
    other = ["great", "middling", "poor"]
    assert torch.equal(rows(folder, other, head_labels=["poor", "middling", "great"]), own[[2, 1, 0]])
    with pytest.raises(UserError, match=r"model\.head_labels=\['poor', 'great'\] must be the labels of this data"):
        rows(folder, other, head_labels=["poor", "great"])
    new = rows(folder, other, new_head=True)
    assert not any(torch.equal(new[i, :-1], own[j, :-1]) for i in range(3) for j in range(3))
    assert new[:, :-1].std() > 0.001


def test_what_the_rows_are_said_to_be_does_not_count_where_they_have_these_names(folder: Path) -> None:
    """So in a later turn of the wheel, whose model was made with that key, or with a new head."""
    own = rows(folder, THREE)
    assert torch.equal(rows(folder, THREE, head_labels=["good", "fair", "bad"]), own)
    assert torch.equal(rows(folder, THREE, new_head=True), own)


@pytest.mark.parametrize("labels", [{"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, None])
def test_rows_without_names_are_taken_in_the_order_of_the_data_and_that_is_said(
    folder: Path, labels: dict[str, str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    own = rows(folder, THREE)
    named(folder, labels)
    assert torch.equal(rows(folder, ["x", "y", "z"]), own)
    assert "does not name its labels. Its rows are taken for x, y, z, in this order" in caplog.text
    assert torch.equal(rows(folder, ["x", "y", "z"], head_labels=["z", "y", "x"]), own[[2, 1, 0]])
    assert torch.equal(rows(folder, ["LABEL_2", "LABEL_1", "LABEL_0"]), own[[2, 1, 0]])
    assert not torch.equal(rows(folder, ["x", "y", "z"], new_head=True), own)


def test_a_second_network_of_the_same_model_has_the_same_rows(folder: Path) -> None:
    pretrained = Pretrained(name=str(folder))
    order = ["good", "bad", "fair"]
    first, second = (pretrained.classifier(order, "multi_label_classification", 0).classifier.weight for _ in range(2))
    assert torch.equal(first, second)


def test_a_head_of_two_layers(tmp_path: Path) -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = RobertaConfig(vocab_size=50, id2label={0: "bad", 1: "good"}, **sizes)
    own = RobertaForSequenceClassification(config)
    own.save_pretrained(tmp_path)
    turned = Pretrained(name=str(tmp_path)).classifier(["good", "bad"], "single_label_classification", 1).classifier
    assert torch.equal(turned.out_proj.weight, own.classifier.out_proj.weight[[1, 0]])
    assert torch.equal(turned.dense.weight, own.classifier.dense.weight)
