"""The linear schedule against its formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from noria.scheduler.linear import linear


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    expected = [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0]
    assert factors(linear, 10, warmup_steps=2) == pytest.approx(expected)
    assert factors(linear, 10, warmup_steps=0.2) == pytest.approx(expected)
