"""Pearson's correlation against SciPy."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import pearsonr
from tests.metric.answered import of

from noria.metric.pearson import Pearson

METRIC = of(Pearson, "regression", 1)


def test_scipy() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 26, (200,), generator=generator) / 5
    scores = labels + torch.randn(200, generator=generator)
    assert METRIC(scores, labels) == pytest.approx(pearsonr(scores.numpy(), labels.numpy())[0], abs=1e-6)


def test_by_hand() -> None:
    # Deviations (-2, -1, 0, 1, 2) and (-0.7, -0.7, 0.3, 0.3, 0.8): products sum to 4, squares to 10 and 1.8.
    labels, scores = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), torch.tensor([0.0, 0.0, 1.0, 1.0, 1.5])
    assert METRIC(scores, labels) == pytest.approx(4.0 / math.sqrt(10.0 * 1.8), abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_constant_values_have_no_correlation() -> None:
    assert math.isnan(METRIC(torch.ones(5), torch.arange(5.0)))
    assert math.isnan(METRIC(torch.arange(5.0), torch.ones(5)))


@pytest.mark.filterwarnings("error")
def test_one_far_outlier_among_many_is_no_constant() -> None:
    # In single precision torchmetrics takes this for a variance of zero.
    labels = torch.linspace(0, 1, 20_000)
    labels[0] = 10_000.0
    assert METRIC(2 * labels + 1, labels) == pytest.approx(1.0)
