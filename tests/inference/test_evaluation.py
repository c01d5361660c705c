from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from noria.artifact.bundle import Artifact
from noria.data.table import TableData
from noria.inference.classifier import Classifier
from noria.inference.evaluation import Evaluation, evaluate
from noria.metric.accuracy import Accuracy
from noria.metric.f1 import F1


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
    assert rows.column_names == ["id", "split", "label", "prediction", "probabilities", "loss"]
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
