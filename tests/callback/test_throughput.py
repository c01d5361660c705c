"""The counts on batches of known lengths are exact, and go through a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from noria.callback.throughput import Throughput
from noria.tracking.csv_logger import CsvLogger


def test_examples_tokens_and_waste(train: Callable) -> None:
    throughput = Throughput()
    train(throughput, max_epochs=2)
    # lengths [3, 1, 4], [2, 2, 2], [5, 1], twice; computed: 3 x 4 + 3 x 2 + 2 x 5
    summary = throughput.summary()
    assert summary["examples"] == 2 * 8
    assert summary["padding_waste"] == pytest.approx(28 / 20)
    assert summary["examples_per_second"] == pytest.approx(16 / summary["seconds"])
    assert summary["tokens_per_second"] == pytest.approx(40 / summary["seconds"])


def test_validation_is_not_training_time(train: Callable) -> None:
    class Slow(Callback):
        def on_validation_start(self, *_: object) -> None:
            time.sleep(0.3)

        def on_train_batch_end(self, *_: object) -> None:
            time.sleep(0.02)

    throughput = Throughput()
    train(throughput, Slow(), max_epochs=2)
    assert 0.04 <= throughput.seconds < 0.3, "the pause of a step counts, that of a validation does not"


def test_nothing_yet_is_no_division_by_zero() -> None:
    assert Throughput().summary() == {
        "examples_per_second": 0.0, "tokens_per_second": 0.0, "padding_waste": 1.0, "examples": 0, "seconds": 0.0,
    }  # fmt: skip


def test_the_counts_go_on_after_a_checkpoint(train: Callable, tmp_path: Path) -> None:
    before = Throughput()
    train(before)
    torch.save(before.state_dict(), tmp_path / "counts.pt")
    after = Throughput()
    after.load_state_dict(torch.load(tmp_path / "counts.pt", weights_only=True))
    assert after.summary() == before.summary()
    train(after)
    assert after.summary()["examples"] == 16 and after.summary()["padding_waste"] == pytest.approx(1.4)


def test_the_rates_are_logged(train: Callable, tmp_path: Path) -> None:
    logger = CsvLogger(path=str(tmp_path / "metrics.csv"))
    train(Throughput(), logger=logger)
    logger.finalize("success")
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert {"throughput/examples_per_second", "throughput/tokens_per_second"} <= set(header.split(","))
