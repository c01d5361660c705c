from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from noria.artifact.bundle import Artifact
from noria.data.encoded_text import EncodedText
from noria.data.module import DataModule
from noria.data.rows import Rows
from noria.data.table import TableData
from noria.data.tokens import cached_tokens
from noria.inference.classifier import Classifier
from noria.inference.evaluation import Evaluation, evaluate, open_model
from noria.inference.language_model import LanguageModel
from noria.metric.accuracy import Accuracy
from noria.metric.f1 import F1
from noria.metric.perplexity import Perplexity


@pytest.fixture(scope="module")
def measured(artifact: Artifact, reviews: Path) -> tuple[Evaluation, TableData]:
    data = TableData("single_label", artifact.tokenizer, 0, artifact.labels, path=str(reviews), max_length=32)
    data.setup()
    classifier = Classifier(artifact, "32-true", torch.device("cpu"))
    metrics = {"accuracy": Accuracy("single_label", 2), "f1": F1("single_label", 2)}
    return evaluate(classifier, data, "train", metrics, 16), data


def test_one_row_an_example_with_its_truth(measured: tuple[Evaluation, TableData]) -> None:
    evaluation, data = measured
    rows = evaluation.predictions
    assert rows.column_names == ["id", "key", "split", "label", "prediction", "probabilities", "loss"]
    assert rows["id"].to_pylist() == data.splits["train"].ids
    assert rows["label"].to_pylist() == data.splits["train"].table["label"].to_pylist()
    assert set(rows["split"].to_pylist()) == {"train"}


def test_estimates_are_those_of_the_predictions(measured: tuple[Evaluation, TableData]) -> None:
    evaluation, _ = measured
    rows = evaluation.predictions
    names = ["bad", "good"]
    truth = torch.tensor([names.index(label) for label in rows["label"].to_pylist()])
    shares = torch.tensor(np.stack(rows["probabilities"].to_pylist()))
    assert [names[i] for i in shares.argmax(-1)] == rows["prediction"].to_pylist()
    accuracy = multiclass_accuracy(shares, truth, 2, average="micro").item()
    assert evaluation.estimates["accuracy"].value == pytest.approx(accuracy)
    assert evaluation.estimates["f1"].value == pytest.approx(multiclass_f1_score(shares, truth, 2).item())
    losses = cross_entropy(shares.log(), truth, reduction="none")
    assert np.allclose(rows["loss"].to_pylist(), losses, atol=1e-5)
    assert evaluation.estimates["loss"].value == pytest.approx(losses.mean().item(), abs=1e-5)
    for estimate in evaluation.estimates.values():
        assert estimate.low <= estimate.value <= estimate.high and estimate.n == len(truth)


class Passages(DataModule):
    """Three texts, of which the second takes several windows of 16 tokens."""

    kinds = ("causal_lm",)

    def encode(self, split: str) -> EncodedText:
        return EncodedText(cached_tokens(self.tokenizer, self.splits[split].texts, None, None), 0, 16)


def test_a_language_model_is_measured_by_the_token(decoder: Artifact) -> None:
    data = Passages("causal_lm", decoder.tokenizer, 0)
    texts = ["great fun", "a dreadful film and a bore " * 3, "superb acting"]
    data.splits = {"test": Rows(pa.table({"id": ["a:1", "a:2", "a:3"], "text": texts}), "a")}
    model = open_model(decoder, "32-true", torch.device("cpu"))
    assert isinstance(model, LanguageModel)
    told: list[int] = []
    measured = evaluate(model, data, "test", {"perplexity": Perplexity("causal_lm", 0)}, 2, told.append)

    rows = measured.predictions
    assert rows.column_names == ["id", "key", "split", "loss", "tokens"] and set(rows["split"].to_pylist()) == {"test"}
    pieces = len(rows) - 2
    assert pieces > 1
    assert rows["id"].to_pylist() == ["a:1", *(f"a:2#{k}" for k in range(1, pieces + 1)), "a:3"]
    assert sum(told) == len(rows)
    losses, tokens = (np.array(rows[name].to_pylist()) for name in ("loss", "tokens"))
    assert tokens.sum() == sum(len(decoder.tokenizer(text)["input_ids"]) for text in texts) - len(rows)
    ids = torch.tensor([decoder.tokenizer(texts[0])["input_ids"]])
    with torch.no_grad():
        assert losses[0] == pytest.approx(decoder.network(input_ids=ids, labels=ids).loss.item(), abs=1e-5)

    loss, perplexity = measured.estimates["loss"], measured.estimates["perplexity"]
    assert loss.value == pytest.approx((losses * tokens).sum() / tokens.sum())
    assert loss.low < loss.value < loss.high and loss.n == len(rows)
    for end in ("value", "low", "high"):  # the same resamples
        assert getattr(perplexity, end) == pytest.approx(np.exp(getattr(loss, end)), rel=1e-3)


def test_the_kind_decides_what_measures(artifact: Artifact) -> None:
    assert isinstance(open_model(artifact, "32-true", torch.device("cpu")), Classifier)
