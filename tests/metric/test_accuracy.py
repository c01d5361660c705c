"""Accuracy against counts by hand."""

from __future__ import annotations

import torch
from tests.metric.answered import of

from noria.metric.accuracy import Accuracy
from noria.statistics.proportion import wilson


def test_single_label() -> None:
    scores = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    labels = torch.tensor([0, 1, 1, 2])
    metric = of(Accuracy, "single_label", 3)
    assert metric(scores, labels) == 0.5
    assert metric.estimate(scores, labels) == wilson(2, 4)


def test_multi_label_counts_rows_with_every_label_right() -> None:
    scores = torch.tensor([[0.9, 0.1], [0.9, 0.6], [0.4, 0.2], [0.51, 0.5]])
    labels = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 0]])
    metric = of(Accuracy, "multi_label", 2)
    assert metric(scores, labels) == 0.75
    assert metric.estimate(scores, labels) == wilson(3, 4)


def test_one_label_only() -> None:
    scores, labels = torch.tensor([[0.9], [0.2], [0.8]]), torch.tensor([[1], [1], [1]])
    assert of(Accuracy, "multi_label", 1)(scores, labels) == 2 / 3


def test_large_counts_stay_exact() -> None:
    labels = torch.zeros(300_001, dtype=torch.long)
    scores = torch.tensor([[0.9, 0.1]]).repeat(300_001, 1)
    scores[7] = torch.tensor([0.1, 0.9])
    estimate = of(Accuracy, "single_label", 2).estimate(scores, labels)
    assert estimate == wilson(300_000, 300_001)
