"""F1 against a reference written out by hand."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from tests.metric.answered import of

from noria.metric.f1 import F1

AVERAGES: tuple[Literal["macro", "micro", "weighted"], ...] = ("macro", "micro", "weighted")


def by_hand(truth: list[list[int]], predicted: list[list[int]], average: str, skip_empty: bool) -> float:
    """F1 of rows of zeros and ones (n, labels)."""
    counts = []
    for k in range(len(truth[0])):
        pairs = [(t[k], p[k]) for t, p in zip(truth, predicted, strict=True)]
        counts.append((pairs.count((1, 1)), pairs.count((0, 1)), pairs.count((1, 0))))

    def f1(tp: int, fp: int, fn: int) -> float:
        return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0

    if average == "micro":
        return f1(*(sum(column) for column in zip(*counts, strict=True)))
    if average == "weighted":
        return sum(f1(*c) * (c[0] + c[2]) for c in counts) / sum(c[0] + c[2] for c in counts)
    kept = [c for c in counts if sum(c) or not skip_empty]
    return sum(f1(*c) for c in kept) / len(kept)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("labels", [2, 3, 7])
def test_single_label(average: Literal["macro", "micro", "weighted"], labels: int) -> None:
    generator = torch.Generator().manual_seed(labels)
    scores = torch.rand(40, labels, generator=generator).softmax(dim=1)
    truth = torch.randint(0, labels, (40,), generator=generator)
    eye = torch.eye(labels, dtype=torch.long)
    expected = by_hand(eye[truth].tolist(), eye[scores.argmax(dim=1)].tolist(), average, skip_empty=True)
    assert of(F1, "single_label", labels, average=average)(scores, truth) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
def test_multi_label(average: Literal["macro", "micro", "weighted"]) -> None:
    generator = torch.Generator().manual_seed(5)
    scores = torch.rand(40, 4, generator=generator)
    truth = (torch.rand(40, 4, generator=generator) > 0.6).long()
    expected = by_hand(truth.tolist(), (scores > 0.5).long().tolist(), average, skip_empty=False)
    assert of(F1, "multi_label", 4, average=average)(scores, truth) == pytest.approx(expected, abs=1e-6)


def test_a_class_that_never_occurs() -> None:
    # Two of three classes occur: left out of the mean for single_label, 0 for multi_label.
    scores = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert of(F1, "single_label", 3)(scores, torch.tensor([0, 1])) == 1.0
    assert of(F1, "multi_label", 3)(scores, torch.eye(3, dtype=torch.long)[:2]) == pytest.approx(2 / 3)


def test_the_interval_is_a_bootstrap_of_the_same_number() -> None:
    scores = torch.tensor([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]]).repeat(40, 1)
    truth = torch.tensor([0, 1, 1]).repeat(40)
    metric = of(F1, "single_label", 2)
    estimate = metric.estimate(scores, truth, resamples=100)
    assert estimate.value == metric(scores, truth) == pytest.approx(2 / 3)
    assert estimate.method == "bootstrap percentile"
    assert 0.5 < estimate.low < 0.63 < 0.70 < estimate.high < 0.8
