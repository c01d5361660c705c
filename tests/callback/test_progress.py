"""The bar shows losses and rates; without Throughput it shows no rates."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from noria.callback.progress import Progress
from noria.callback.throughput import Throughput


@pytest.mark.parametrize("counted", [True, False])
def test_what_it_shows(train: Callable, counted: bool) -> None:
    bar, throughput = Progress(), Throughput()
    trainer, module = train(*([throughput] if counted else []), bar, enable_progress_bar=True)
    shown = bar.get_metrics(trainer, module)
    assert "v_num" not in shown
    assert ("examples/s" in shown, "tokens/s" in shown) == (counted, counted)
    if counted:
        assert shown["examples/s"] == f"{throughput.examples_per_second:.1f}"
