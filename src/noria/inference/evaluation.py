"""Measures a model on the rows of a split: estimates with intervals, and a line for every row.

Knows neither where the rows come from nor what becomes of the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded_text import EncodedText
from noria.data.module import DataModule
from noria.data.rows.split import KEY, keyed
from noria.inference.classifier import Classifier
from noria.inference.language_model import LanguageModel
from noria.inference.text_units import by_text
from noria.metric.base import Metric
from noria.statistics.bootstrap import mean_interval, ratio_interval
from noria.statistics.estimate import Estimate


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one split.

    Args:
        estimates: by name (`loss`, `accuracy` …), each with its interval.
        predictions: of a classifier one row an example: id, key, split, label, prediction, probabilities, loss;
            of a language model one row a text: id, key, split, loss (the mean of its targets), tokens (how many
            targets it has), and of those that are text text_loss (summed, in nats), bytes and words. Where a text was
            cut, its pieces have ids that end in #1, #2, …; windows that overlap are one row. `key` is the hash that
            tells texts apart (`data/rows/split.py`): by it another run's training rows are found among these.
    """

    split: str
    estimates: dict[str, Estimate]
    predictions: pa.Table


def open_model(artifact: Artifact, precision: str, device: torch.device) -> Classifier | LanguageModel:
    """What measures an artifact of this kind."""
    return (LanguageModel if artifact.kind == "causal_lm" else Classifier)(artifact, precision, device)


def evaluate(
    model: Classifier | LanguageModel,
    data: DataModule,
    split: str,
    metrics: Mapping[str, Metric],
    batch_size: int,
    advance: Callable[[int], Any] = lambda rows: None,
) -> Evaluation:
    """Runs the model over every row of a split once.

    The loss is the plain one: no class weights, no label smoothing, so that runs trained with other
    losses can be compared. A language model's is per token: its interval resamples rows, not tokens.

    Args:
        advance: told the number of encoded rows after each batch.
    """
    if isinstance(model, LanguageModel):
        return _language_model(model, data, split, metrics, batch_size, advance)
    return _classifier(model, data, split, metrics, batch_size, advance)


def _classifier(
    classifier: Classifier,
    data: DataModule,
    split: str,
    metrics: Mapping[str, Metric],
    batch_size: int,
    advance: Callable[[int], Any],
) -> Evaluation:
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
        "key": keyed(data.splits[split]).table[KEY],
        "split": pa.array([split] * len(labels)),
        "label": pa.array(_true(classifier, labels)),
        "prediction": pa.array(classifier.decide(scores)),
    }
    if classifier.objective.kind != "regression":
        columns["probabilities"] = pa.array(list(scores.numpy()), type=pa.list_(pa.float32()))
    columns["loss"] = pa.array(losses.numpy())
    return Evaluation(split, estimates, pa.table(columns))


def _language_model(
    model: LanguageModel,
    data: DataModule,
    split: str,
    metrics: Mapping[str, Metric],
    batch_size: int,
    advance: Callable[[int], Any],
) -> Evaluation:
    encoded = data.encoded(split)
    assert isinstance(encoded, EncodedText)
    found = model.text_losses(encoded, batch_size, advance)
    ids = _piece_ids(data.splits[split].ids, encoded.row)
    sums, targets, of_text, sizes, words = (
        None if part is None else np.asarray(part) for part in (*found, encoded.bytes, encoded.words)
    )
    rows = encoded.row
    if encoded.overlaps:  # windows share most of what they read: it is their rows that are independent
        rows, place = np.unique(encoded.row, return_inverse=True)
        ids = [data.splits[split].ids[row] for row in rows]
        sums, targets, of_text, sizes, words = (
            None if part is None else np.bincount(place, part).astype(part.dtype)
            for part in (sums, targets, of_text, sizes, words)
        )
    assert sums is not None and targets is not None and of_text is not None
    means = sums / targets
    estimates = {"loss": replace(ratio_interval(sums, targets), unit="nats per token")}
    for name, metric in metrics.items():
        estimates[name] = metric.estimate(torch.from_numpy(means), torch.from_numpy(targets))
    columns: dict[str, Any] = {
        "id": ids,
        "key": keyed(data.splits[split]).table[KEY].take(pa.array(rows)),
        "split": pa.array([split] * len(targets)),
        "loss": pa.array(means),
        "tokens": pa.array(targets),
    }
    if sizes is not None and words is not None:
        estimates |= by_text(of_text, sizes, words)
        columns |= {"text_loss": of_text, "bytes": sizes, "words": words}
    return Evaluation(split, estimates, pa.table(columns))


def _piece_ids(ids: list[str], row: np.ndarray) -> list[str]:
    """The ids of encoded rows, of which several may be pieces of one row: those end in #1, #2, …"""
    pieces, seen = np.bincount(row, minlength=len(ids)), [0] * len(ids)
    named = []
    for number in row.tolist():
        seen[number] += 1
        named.append(ids[number] if pieces[number] == 1 else f"{ids[number]}#{seen[number]}")
    return named


def _true(classifier: Classifier, labels: torch.Tensor) -> list[Any]:
    if classifier.objective.kind == "single_label":
        return [classifier.labels[i] for i in labels.tolist()]
    return classifier.decide(labels)
