"""Lengths in steps or as fractions."""

from __future__ import annotations

import pytest

from noria.common.errors import UserError
from noria.scheduler.warmup import as_steps, warmup_length


@pytest.mark.parametrize(
    ("length", "total", "steps"),
    [(0, 100, 0), (0.06, 1000, 60), (0.06, 110, 7), (0.5, 3, 2), (1, 100, 1), (1.0, 100, 1), (250, 100, 250)],
)
def test_a_number_of_steps_or_a_fraction_rounded_up(length: float, total: int, steps: int) -> None:
    assert as_steps(length, total, "key") == steps


@pytest.mark.parametrize("length", [-1, -0.1, 1.5, 10.25])
def test_nonsense_is_the_users_mistake(length: float) -> None:
    with pytest.raises(UserError, match=rf"scheduler\.some_key must be .* got {length}"):
        as_steps(length, 100, "scheduler.some_key")


def test_no_steps_at_all() -> None:
    with pytest.raises(ValueError, match="total_steps=0"):
        as_steps(0.1, 0, "key")


@pytest.mark.parametrize("steps", [100, 101])
def test_a_warmup_must_end_before_the_training_does(steps: int) -> None:
    with pytest.raises(UserError, match=rf"warmup_steps={steps} is not shorter than the training of 100 "):
        warmup_length(steps, 100)
    assert warmup_length(99, 100) == 99


@pytest.mark.parametrize(("total", "steps"), [(1, 0), (2, 1), (3, 1)])
def test_a_fraction_leaves_a_step_even_in_a_dry_run(total: int, steps: int) -> None:
    assert warmup_length(0.06, total) == steps
    assert warmup_length(0.99, total) == total - 1
