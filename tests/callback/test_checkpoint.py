"""Which checkpoint files there are after a fit, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from noria.callback.checkpoint import LastCheckpoint, checkpoints
from noria.callback.interrupt import Interrupt
from noria.common.errors import Terminated
from noria.common.names import LAST


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


class Slow(TorchCheckpointIO):
    """A disk that takes 20 s a write by its own clock; notes the file and the step of each write."""

    def __init__(self) -> None:
        self.written: list[tuple[str, int]] = []
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.now += 20
        super().save_checkpoint(checkpoint, path, storage_options)
        self.written.append((Path(path).name, checkpoint["global_step"]))


@pytest.mark.parametrize(("every", "steps"), [(None, [3, 6]), (2, [2, 3, 4, 6])])
def test_what_the_last_has_cost(
    train: Callable, tmp_path: Path, every: int | None, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own writes are counted, not those of the best; step 6 is written once, when its epoch has ended."""
    disk = Slow()
    monkeypatch.setattr("noria.callback.checkpoint.time", disk)
    made = checkpoints(directory=str(tmp_path), monitor="val/score", mode="min", every_n_steps=every)
    train(*made, max_epochs=2, plugins=[disk])
    last = next(callback for callback in made if isinstance(callback, LastCheckpoint))
    assert [step for name, step in disk.written if name == LAST] == steps
    assert len(disk.written) == len(steps) + 2  # and the best of each epoch
    assert last.writes == len(steps)
    assert last.seconds == 20 * len(steps)


def test_what_was_never_written_has_cost_nothing(tmp_path: Path) -> None:
    last = LastCheckpoint(tmp_path / LAST, None)
    assert (last.writes, last.seconds) == (0, 0.0)


class Leaving(Interrupt):
    """Told to leave in the given batch, without a signal."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_index: int) -> None:
        self.leaving = batch_index == self.batch


def test_the_last_is_written_when_the_run_is_leaving(train: Callable, tmp_path: Path) -> None:
    last = LastCheckpoint(tmp_path / LAST, every_n_steps=500)
    with pytest.raises(Terminated):
        train(last, Leaving(1), max_epochs=1)
    assert last.writes == 1
    assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 2
