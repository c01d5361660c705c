"""Which checkpoint files there are after a fit, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from noria.callback.checkpoint import LAST, LastCheckpoint, checkpoints


def steps_of(folder: Path) -> list[int]:
    return sorted(int(re.search(r"step=(\d+)", path.name)[1]) for path in folder.glob("best-*"))


def test_the_best_and_the_last(train: Callable, tmp_path: Path) -> None:
    # the weight grows from 0.5 towards 1, so that its negative size is best in the first epoch
    made = checkpoints(directory=str(tmp_path), monitor="val/score", mode="max")
    trainer, module = train(*made, max_epochs=3)
    assert steps_of(tmp_path) == [3] and len(list(tmp_path.iterdir())) == 2
    assert trainer.checkpoint_callbacks[0].best_model_path == str(tmp_path / "best-epoch=0-step=3.ckpt")

    best = torch.load(next(tmp_path.glob("best-*")), weights_only=True)
    assert "optimizer_states" not in best
    last = torch.load(tmp_path / LAST, weights_only=True)
    assert last["global_step"] == 9 and last["optimizer_states"] and last["lr_schedulers"]
    assert torch.equal(last["state_dict"]["weight"], module.weight.detach())
    assert best["state_dict"]["weight"] < last["state_dict"]["weight"]


@pytest.mark.parametrize(("mode", "keep", "kept"), [("max", 2, [3, 6]), ("min", 1, [9]), ("min", 2, [6, 9])])
def test_how_many_of_the_best(train: Callable, tmp_path: Path, mode: str, keep: int, kept: list[int]) -> None:
    train(*checkpoints(directory=str(tmp_path), monitor="val/score", mode=mode, keep=keep), max_epochs=3)
    assert steps_of(tmp_path) == kept


class Written(Callback):
    """The step in `last.ckpt` as it stands after each batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: list[int | None] = []

    def on_train_batch_end(self, *_: object) -> None:
        self.steps.append(torch.load(self.path, weights_only=True)["global_step"] if self.path.is_file() else None)


@pytest.mark.parametrize(
    ("every", "accumulate", "seen"),
    [
        (None, 1, [None, None, None, 3, 3, 3]),  # once an epoch
        (2, 1, [None, None, 2, 3, 4, 4]),  # and every second step
        (1, 2, [None, None, 1, 2, 2, 3]),  # a step is two batches, or what is left of the epoch
    ],
)
def test_when_the_last_is_written(
    train: Callable, tmp_path: Path, every: int | None, accumulate: int, seen: list[int | None]
) -> None:
    # Lightning calls checkpoints after all other callbacks: the file is seen as the batch before has left it
    watch = Written(tmp_path / LAST)
    train(watch, LastCheckpoint(tmp_path / LAST, every), max_epochs=2, accumulate_grad_batches=accumulate)
    assert watch.steps == seen
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == {1: 6, 2: 4}[accumulate]
