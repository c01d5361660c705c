"""AUROC against counting pairs by hand, and its quick bootstrap against the plain one."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from tests.metric.answered import kinds_of, of

from noria.metric.auroc import AUROC
from noria.statistics.bootstrap import bootstrap

AVERAGES: tuple[Literal["macro", "weighted"], ...] = ("macro", "weighted")


def by_hand(scores: torch.Tensor, truth: torch.Tensor, average: str) -> float:
    areas, weights = [], []
    for k in range(scores.shape[1]):
        with_label, without = scores[truth[:, k] == 1, k], scores[truth[:, k] == 0, k]
        if len(with_label) and len(without):
            difference = with_label[:, None] - without[None, :]
            areas.append(float((difference > 0).double().mean() + 0.5 * (difference == 0).double().mean()))
            weights.append(len(with_label) if average == "weighted" else 1)
    if not areas:
        return math.nan
    return sum(a * w for a, w in zip(areas, weights, strict=True)) / sum(weights)


def example(kind: str, labels: int, rows: int = 80) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(labels)
    scores = torch.randint(0, 12, (rows, labels), generator=generator) / 12  # with ties
    if kind == "multi_label":
        truth = (scores + 0.5 * torch.randn(rows, labels, generator=generator) > 0.7).long()
        return scores, truth, truth
    numbers = torch.randint(0, labels, (rows,), generator=generator)
    return scores, numbers, torch.eye(labels, dtype=torch.long)[numbers]


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("labels", [2, 5])
@pytest.mark.parametrize("kind", kinds_of(AUROC))
def test_pairs(kind: str, labels: int, average: Literal["macro", "weighted"]) -> None:
    scores, given, truth = example(kind, labels)
    value = of(AUROC, kind, labels, average=average)(scores, given)
    assert value == pytest.approx(by_hand(scores, truth, average), abs=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("kind", kinds_of(AUROC))
def test_the_quick_bootstrap_is_the_plain_one(kind: str, average: Literal["macro", "weighted"]) -> None:
    scores, given, _ = example(kind, 4, rows=12)  # few rows: some resamples miss a label
    metric = of(AUROC, kind, 4, average=average)

    def plain(rows: np.ndarray) -> float:
        index = torch.from_numpy(rows)
        return metric(scores[index], given[index])

    slow = bootstrap(plain, 12, resamples=60, seed=2)
    quick = metric.estimate(scores, given, resamples=60, seed=2)
    assert (quick.value, quick.low, quick.high) == pytest.approx((slow.value, slow.low, slow.high), abs=1e-6)
    assert quick.method == slow.method


def test_two_classes_are_the_area_of_either() -> None:
    positive = torch.tensor([0.1, 0.4, 0.35, 0.8])
    scores = torch.stack([1 - positive, positive], dim=1)
    assert of(AUROC, "single_label", 2)(scores, torch.tensor([0, 0, 1, 1])) == pytest.approx(0.75)


def test_a_label_without_an_area_is_left_out() -> None:
    scores = torch.tensor([[0.6, 0.2, 0.2], [0.3, 0.5, 0.2], [0.8, 0.1, 0.1]])
    assert of(AUROC, "single_label", 3)(scores, torch.tensor([0, 1, 0])) == 1.0  # class 2 never occurs
    assert of(AUROC, "multi_label", 3)(scores, torch.tensor([[1, 0, 1], [0, 1, 1], [1, 0, 1]])) == 1.0


def test_nothing_to_rank_is_nan() -> None:
    scores, labels = torch.rand(4, 2), torch.zeros(4, dtype=torch.long)
    metric = of(AUROC, "single_label", 2)
    assert math.isnan(metric(scores, labels))
    assert math.isnan(metric.estimate(scores, labels, resamples=10).low)


@pytest.mark.filterwarnings("error")
def test_no_warning_where_a_label_is_missing() -> None:
    of(AUROC, "single_label", 3).estimate(torch.rand(6, 3), torch.tensor([0, 1, 0, 1, 1, 0]), resamples=10)
