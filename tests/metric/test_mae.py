"""Mean absolute error by hand."""

from __future__ import annotations

import pytest
import torch
from tests.metric.answered import of

from noria.metric.mae import MAE


def test_by_hand() -> None:
    scores, labels = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.5, 2.0, 2.0])
    assert of(MAE, "regression", 1)(scores, labels) == pytest.approx((0.5 + 0 + 2) / 3)


def test_integer_labels_are_taken_as_values() -> None:
    assert of(MAE, "regression", 1)(torch.tensor([0.5, 3.0]), torch.tensor([1, 3])) == 0.25
