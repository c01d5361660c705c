"""Spearman's correlation against SciPy."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr
from tests.metric.answered import of

from noria.metric.spearman import Spearman

METRIC = of(Spearman, "regression", 1)


def test_scipy_with_ties() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 26, (200,), generator=generator) / 5
    scores = (labels + torch.randn(200, generator=generator)).round(decimals=1)
    assert METRIC(scores, labels) == pytest.approx(spearmanr(scores.numpy(), labels.numpy())[0], abs=1e-5)


def test_only_the_order_counts() -> None:
    labels = torch.linspace(-3, 3, 50)
    assert METRIC(labels.exp(), labels) == pytest.approx(1.0, abs=1e-5)
    assert METRIC(-(labels**3), labels) == pytest.approx(-1.0, abs=1e-5)


def test_constant_values_have_no_correlation() -> None:
    assert math.isnan(METRIC(torch.ones(5), torch.arange(5.0)))
    assert math.isnan(METRIC(torch.arange(5.0), torch.ones(5)))


def test_its_interval_holds_the_value() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randn(100, generator=generator)
    estimate = METRIC.estimate(labels + torch.randn(100, generator=generator), labels, resamples=100)
    assert 0.4 < estimate.low < estimate.value < estimate.high < 0.9
