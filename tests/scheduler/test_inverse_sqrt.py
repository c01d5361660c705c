"""The schedule of the first Transformers against its formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from torch.optim import SGD

from noria.common.errors import UserError
from noria.scheduler.inverse_sqrt import inverse_sqrt


def test_its_rates(factors: Callable[..., list[float]]) -> None:
    fall = [math.sqrt(4 / step) for step in range(4, 13)]
    assert factors(inverse_sqrt, 12, warmup_steps=4) == pytest.approx([0, 0.25, 0.5, 0.75, *fall])
    assert factors(inverse_sqrt, 3, warmup_steps=0.0) == pytest.approx([math.sqrt(1 / step) for step in range(1, 5)])


def test_a_warmup_must_end(optimizer: SGD) -> None:
    with pytest.raises(UserError, match="is not shorter"):
        inverse_sqrt(optimizer, 10, warmup_steps=10)
