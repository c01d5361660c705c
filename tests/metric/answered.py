"""Metrics of scores and labels, as the tests have them: tensors become the answers that a metric reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from noria.metric.answers import Answers
from noria.metric.base import Metric
from noria.statistics.estimate import Estimate
from noria.task.text_classification.form import TextClassificationForm


def kinds_of(metric: type[Metric]) -> list[str]:
    """What a metric measures."""
    held = {**TextClassificationForm.answers, "causal_lm": {"loss": "number", "tokens": "count"}}
    return [
        kind
        for kind, columns in held.items()
        if all(columns.get(column) in contents for column, contents in metric.reads.items())
    ]


def answers(kind: str, scores: torch.Tensor, labels: torch.Tensor, count: int) -> Answers:
    """Scores and labels of n rows: probabilities (n, labels) and label numbers, or zeros and ones; values (n,) and
    true ones; mean losses (n,) and how many targets they are the means of."""
    shown, true = scores.detach().float().double().numpy(), labels.detach().cpu().numpy()
    if kind == "causal_lm":
        return Answers({"loss": shown, "tokens": true})
    if kind == "regression":
        return Answers({"label": true.astype(np.float64), "prediction": scores.double().numpy()})
    chosen = shown.argmax(1) if kind == "single_label" else (shown > 0.5).astype(np.int64)
    columns = {"label": true, "prediction": chosen, "probabilities": shown.astype(np.float32)}
    return Answers(columns, tuple(map(str, range(count))))


class of:
    """A metric that takes scores and labels."""

    def __init__(self, metric: type[Metric], kind: str, count: int, **options: Any) -> None:
        self.metric, self.kind, self.count = metric(**options), kind, count

    def __call__(self, scores: torch.Tensor, labels: torch.Tensor) -> float:
        return self.metric(answers(self.kind, scores, labels, self.count))

    def estimate(self, scores: torch.Tensor, labels: torch.Tensor, **options: Any) -> Estimate:
        return self.metric.estimate(answers(self.kind, scores, labels, self.count), **options)
