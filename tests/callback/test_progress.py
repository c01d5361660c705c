"""The bar shows losses and rates in one line; without Throughput it shows no rates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.console import Console

from noria.callback.progress import Progress
from noria.callback.throughput import Throughput
from noria.model.flops import TrainingFlops


@pytest.mark.parametrize("counted", [True, False])
def test_what_it_shows(train: Callable, counted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bar, throughput = Progress(), Throughput()
    trainer, module = train(*([throughput] if counted else []), bar, enable_progress_bar=True)
    shown = bar.get_metrics(trainer, module)
    assert "v_num" not in shown
    assert {"examples/s", "tokens/s", "waste", "data wait", "MiB"} - set(shown) == (
        set() if counted else {"examples/s", "tokens/s", "waste", "data wait", "MiB"}
    )
    if counted:
        assert shown["examples/s"] == f"{throughput.examples_per_second:.1f}" and shown["waste"] == "1.40"


@pytest.mark.parametrize("width", [80, 100, 160])
def test_it_stays_in_its_line(train: Callable, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("noria.callback.throughput.training_flops", lambda _: TrainingFlops(1, 1, 1))
    monkeypatch.setattr("noria.callback.throughput.peak_flops", lambda *_: (1e6, "a sheet"))
    bar, throughput = Progress(), Throughput()
    trainer, module = train(throughput, bar, enable_progress_bar=True)
    monkeypatch.setattr(type(bar), "total_train_batches", 267)
    monkeypatch.setattr(Throughput, "examples_per_second", 71.2)
    trainer.progress_bar_metrics.update({"train/loss": 0.5, "val/loss": 0.25})
    assert bar.progress is not None and bar._metric_component is not None
    bar.progress.reset(bar.train_progress_bar_id, total=267, completed=200, visible=True)
    shown = bar.get_metrics(trainer, module)
    assert {"examples/s", "peak"} <= set(shown) and ("tokens/s" in shown) == (width > 80)
    bar._metric_component.update(shown)
    screen = Console(width=width, force_terminal=True)
    with screen.capture() as said:
        screen.print(bar.progress.make_tasks_table([bar.progress.tasks[bar.train_progress_bar_id]]))
    assert len(said.get().splitlines()) == 1, said.get()
    assert list(shown.values())[-1] in said.get()
