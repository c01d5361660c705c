"""Matthews' coefficient against its formulas."""

from __future__ import annotations

import math

import pytest
import torch
from tests.metric.answered import of

from noria.metric.matthews import Matthews


def rows(tp: int, fp: int, fn: int, tn: int) -> tuple[torch.Tensor, torch.Tensor]:
    predicted = torch.tensor([1] * tp + [1] * fp + [0] * fn + [0] * tn)
    labels = torch.tensor([1] * tp + [0] * fp + [1] * fn + [0] * tn)
    return torch.eye(2)[predicted], labels


@pytest.mark.parametrize("counts", [(6, 2, 1, 3), (1, 5, 7, 2), (10, 0, 3, 4), (60_000, 1, 2, 40_000)])
def test_two_classes(counts: tuple[int, int, int, int]) -> None:
    tp, fp, fn, tn = counts
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert of(Matthews, "single_label", 2)(*rows(*counts)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("counts", [(30, 70, 0, 0), (0, 0, 30, 70), (10, 0, 0, 0), (0, 0, 0, 10), (4, 0, 6, 0)])
def test_a_constant_guess_knows_nothing(counts: tuple[int, int, int, int]) -> None:
    assert of(Matthews, "single_label", 2)(*rows(*counts)) == 0.0


def test_perfect_and_inverted() -> None:
    assert of(Matthews, "single_label", 2)(*rows(5, 0, 0, 8)) == pytest.approx(1.0)
    assert of(Matthews, "single_label", 2)(*rows(0, 5, 8, 0)) == pytest.approx(-1.0)


def test_several_classes_are_the_correlation_of_the_indicators() -> None:
    # Gorodkin (2004): covariances of the two one-hot matrices, summed over classes.
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(50, 4, generator=generator).softmax(dim=1)
    labels = torch.randint(0, 4, (50,), generator=generator)
    truth = torch.eye(4, dtype=torch.double)[labels]
    guess = torch.eye(4, dtype=torch.double)[scores.argmax(dim=1)]
    truth, guess = truth - truth.mean(dim=0), guess - guess.mean(dim=0)
    expected = (truth * guess).sum() / ((truth**2).sum() * (guess**2).sum()).sqrt()
    assert of(Matthews, "single_label", 4)(scores, labels) == pytest.approx(float(expected), abs=1e-12)
