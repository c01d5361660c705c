"""Cosine with restarts against its formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from noria.scheduler.cosine_restarts import cosine_restarts


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    rates = factors(cosine_restarts, 14, warmup_steps=2, cycles=3)
    wave = [0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([0, 0.5, *wave, *wave, *wave, 0])
