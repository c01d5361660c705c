"""Mean squared error by hand."""

from __future__ import annotations

import pytest
import torch
from tests.metric.answered import of

from noria.metric.mse import MSE


def test_by_hand() -> None:
    scores, labels = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.5, 2.0, 2.0])
    assert of(MSE, "regression", 1)(scores, labels) == pytest.approx((0.25 + 0 + 4) / 3)


def test_interval_agrees_with_theory() -> None:
    # The mean of the squared errors: its standard error is their deviation / sqrt(n).
    errors = torch.randn(2000, generator=torch.Generator().manual_seed(0))
    estimate = of(MSE, "regression", 1).estimate(errors, torch.zeros(2000), resamples=2000)
    width = 2 * 1.96 * float((errors**2).std()) / 2000**0.5
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.1)
