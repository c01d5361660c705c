"""The generators go on where a checkpoint left them, through a file that is loaded with weights_only."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from noria.callback.rng_state import RngState

NOBODY: Any = None


def rank(number: int) -> Any:
    return SimpleNamespace(global_rank=number)


FIRST = rank(0)


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(1)),
    ]


def test_a_round_trip_through_a_file(tmp_path: Path) -> None:
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    draw()  # a second gauss is cached from here on, in Python and in NumPy
    torch.save(RngState(0).state_dict(), tmp_path / "rng.pt")
    wanted = [draw() for _ in range(3)]

    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    assert draw() != wanted[0]
    callback = RngState(0)
    callback.load_state_dict(torch.load(tmp_path / "rng.pt", weights_only=True))
    draw()  # what happens before the first batch, such as making the loaders, does not matter
    callback.on_train_batch_start(FIRST)
    assert [draw() for _ in range(3)] == wanted
    callback.on_train_batch_start(FIRST)  # only the first batch restores
    assert draw() != wanted[0]


def begin(number: int, seed: int) -> list[float]:
    """What the rank draws first, after what `seed_everything` does on every rank."""
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
    RngState(seed).on_fit_start(rank(number), NOBODY)
    return draw()


def test_the_first_rank_draws_what_one_device_draws() -> None:
    drawn = begin(0, 7)
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    assert draw() == drawn


def test_other_ranks_draw_other_dropout_masks() -> None:
    dropout = [[begin(number, seed)[-1] for number in range(4)] for seed in (7, 8)]
    assert len({mask for masks in dropout for mask in masks}) == 8
    assert [begin(number, 7)[-1] for number in range(4)] == dropout[0], "the seed and the rank decide it"
    # only torch's: what Python and NumPy decide (the order of the data) is the same on every rank
    assert begin(3, 7)[:-1] == begin(0, 7)[:-1]


def test_each_rank_takes_up_its_own_state(tmp_path: Path) -> None:
    states, wanted = [], []
    for number in range(2):
        begin(number, 7)
        states += RngState(7).state_dict()["ranks"]
        wanted.append(draw())
    assert wanted[0][-1] != wanted[1][-1]
    torch.save({"ranks": states}, tmp_path / "rng.pt")

    def resumed(number: int) -> list[float]:
        random.seed(9), np.random.seed(9), torch.manual_seed(9)
        callback = RngState(7)
        callback.load_state_dict(torch.load(tmp_path / "rng.pt", weights_only=True))
        callback.on_fit_start(rank(number), NOBODY)
        callback.on_train_batch_start(rank(number))
        return draw()

    assert [resumed(0), resumed(1)] == wanted
    # a rank that there was not goes on with what it was seeded with
    assert resumed(2)[-1] == begin(2, 7)[-1]


def test_a_resumed_fit_draws_what_the_whole_one_draws(train: Callable, line: Callable, batches, tmp_path: Path) -> None:
    import lightning.pytorch as pl

    class Draws(Callback):
        """One draw a batch, as dropout does; keeps a checkpoint after the second."""

        def __init__(self, path: Path | None = None) -> None:
            self.path, self.seen = path, []

        def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
            self.seen.append(draw())

        def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
            if self.path and trainer.global_step == 3:
                trainer.save_checkpoint(self.path)

    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    whole = Draws(tmp_path / "half.ckpt")
    train(RngState(0), whole, max_epochs=2)
    assert len(whole.seen) == 6

    random.seed(6), np.random.seed(6), torch.manual_seed(6)
    rest = Draws()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    callbacks = [RngState(0), rest]
    trainer = pl.Trainer(accelerator="cpu", max_epochs=2, enable_checkpointing=False, callbacks=callbacks, **quiet)
    trainer.fit(line(), batches, batches, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert rest.seen == whole.seen[3:]
