"""The piecewise constant schedule: its steps, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch.optim import SGD

from noria.common.errors import UserError
from noria.scheduler.piecewise_constant import piecewise_constant


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    expected = [1.0] * 5 + [0.1] * 3 + [0.01] * 3
    assert factors(piecewise_constant, 10, milestones=[0.5, 0.8]) == pytest.approx(expected)
    assert factors(piecewise_constant, 10, milestones=[5, 8]) == pytest.approx(expected)
    rising = factors(piecewise_constant, 6, milestones=[2], factors=[0.5, 1], warmup_steps=4)
    assert rising == pytest.approx([0, 0.125, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"milestones": [0.5], "factors": [1.0]}, "2, got 1"),
        ({"milestones": [0.5], "factors": [1.0, -0.1]}, "must not be negative"),
        ({"milestones": [60, 50], "factors": [1, 1, 1]}, r"must rise, got \[60, 50\]"),
        ({"milestones": [0.5, 20], "factors": [1, 1, 1]}, r"the steps \[50, 20\]"),
        ({"milestones": [500], "factors": [1, 1]}, "beyond the training of 100 "),
        ({"milestones": [2.5], "factors": [1, 1]}, r"scheduler\.milestones must be a whole number"),
    ],
)
def test_nonsense_is_refused(optimizer: SGD, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        piecewise_constant(optimizer, 100, **options)
