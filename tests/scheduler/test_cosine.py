"""The cosine schedule against its formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from noria.scheduler.cosine import cosine


@pytest.mark.parametrize("min_ratio", [0.0, 0.1])
def test_its_rates(factors: Callable[..., list[float]], min_ratio: float) -> None:
    rates = factors(cosine, 12, warmup_steps=4, min_ratio=min_ratio)
    fall = [min_ratio + (1 - min_ratio) * 0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(9)]
    assert rates == pytest.approx([0, 0.25, 0.5, 0.75, *fall])
    assert rates[-1] == pytest.approx(min_ratio)
