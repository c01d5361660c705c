"""What the tests of all schedules share: an optimizer, and the rates that a schedule gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import SGD
from torch.optim.lr_scheduler import LRScheduler


def optimizer_with_rates(*rates: float) -> SGD:
    return SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates], lr=rates[0])


@pytest.fixture
def optimizer() -> SGD:
    """One group that learns at rate 1."""
    return optimizer_with_rates(1.0)


@pytest.fixture
def factors() -> Callable[..., list[float]]:
    """factors(schedule, total, **options): the rates of steps 0..total for an optimizer of rate 1."""

    def rates(build: Callable[..., LRScheduler], total: int, **options: Any) -> list[float]:
        optimizer = optimizer_with_rates(1.0)
        scheduler = build(optimizer, total, **options)
        found = []
        for _ in range(total + 1):
            found.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        return found

    return rates
