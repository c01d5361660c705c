"""The constant schedule against its formula."""

from __future__ import annotations

from collections.abc import Callable

from noria.scheduler.constant import constant


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    assert factors(constant, 4) == [1, 1, 1, 1, 1]
    assert factors(constant, 5, warmup_steps=4) == [0, 0.25, 0.5, 0.75, 1, 1]
