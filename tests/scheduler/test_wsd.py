"""Warm-up, stable, decay: its shapes, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from torch.optim import SGD

from noria.common.errors import UserError
from noria.scheduler.wsd import wsd


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    rates = factors(wsd, 10, warmup_steps=2, decay_steps=4, decay="linear")
    assert rates == pytest.approx([0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    rates = factors(wsd, 10, warmup_steps=0.2, decay_steps=0.4, decay="1-sqrt", min_ratio=0.1)
    fall = [0.1 + 0.9 * (1 - math.sqrt(k / 4)) for k in range(5)]
    assert rates == pytest.approx([0.1, 0.55, 1, 1, 1, 1, *fall])
    rates = factors(wsd, 10, warmup_steps=0, decay_steps=4, decay="cosine")
    assert rates[6:] == pytest.approx([0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(5)])


def test_what_does_not_fit_is_refused(optimizer: SGD, factors: Callable[..., list[float]]) -> None:
    with pytest.raises(UserError, match=r"are 60 \+ 50 optimizer steps, more than the 100 "):
        wsd(optimizer, 100, warmup_steps=60, decay_steps=0.5)
    # Rounded up, two halves of 3 steps are 2 + 2.
    assert factors(wsd, 3, warmup_steps=0.5, decay_steps=0.5) == pytest.approx([0, 0.5, 1, 0])
