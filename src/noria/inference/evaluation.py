"""Measures a classifier on labelled rows: estimates with intervals, and a prediction for every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from noria.data.text import TextData
from noria.inference.classifier import Classifier
from noria.metric.base import Metric
from noria.statistics.bootstrap import mean_interval
from noria.statistics.estimate import Estimate


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one split.

    Args:
        estimates: by name (`loss`, `accuracy` …), each with its interval.
        predictions: one row an example: id, split, label, prediction, probabilities, loss.
    """

    split: str
    estimates: dict[str, Estimate]
    predictions: pa.Table


def evaluate(
    classifier: Classifier,
    data: TextData,
    split: str,
    metrics: Mapping[str, Metric],
    batch_size: int,
    advance: Callable[[int], Any] = lambda rows: None,
) -> Evaluation:
    """Runs the classifier over every row of a split once.

    The loss is the plain one: no class weights, no label smoothing, so that runs trained with other
    losses can be compared.
    """
    encoded = data.encoded(split)
    assert encoded.labels is not None
    labels = torch.from_numpy(encoded.labels)
    logits = classifier.logits(encoded, batch_size, advance)
    losses, _ = classifier.objective.losses(logits, labels)
    scores = classifier.objective.scores(logits)
    estimates = {"loss": mean_interval(losses.double().numpy())}
    for name, metric in metrics.items():
        estimates[name] = metric.estimate(scores, labels)
    columns: dict[str, Any] = {
        "id": data.splits[split].ids,
        "split": pa.array([split] * len(labels)),
        "label": pa.array(_true(classifier, labels)),
        "prediction": pa.array(classifier.decide(scores)),
    }
    if classifier.objective.kind != "regression":
        columns["probabilities"] = pa.array(list(scores.numpy()), type=pa.list_(pa.float32()))
    columns["loss"] = pa.array(losses.numpy())
    return Evaluation(split, estimates, pa.table(columns))


def _true(classifier: Classifier, labels: torch.Tensor) -> list[Any]:
    if classifier.objective.kind == "single_label":
        return [classifier.labels[i] for i in labels.tolist()]
    return classifier.decide(labels)
