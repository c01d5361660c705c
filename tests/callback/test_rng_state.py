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

FIRST: Any = SimpleNamespace(global_rank=0)


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
