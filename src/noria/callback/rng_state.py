"""The random number generators of every rank: their own draws, kept in the checkpoint. Knows nothing of the data."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.distributed as dist
from lightning.pytorch.callbacks import Callback


class RngState(Callback):
    """Python's, NumPy's and torch's generators go on where the checkpoint left them, those of each rank.

    They are restored before the first batch after a resume: making the loaders' iterators comes before it.
    Ranks draw different dropout masks; the first rank draws those of a run on one device.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._loaded: list[dict[str, Any]] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_rank:
            own = np.random.SeedSequence([self._seed, trainer.global_rank]).generate_state(1, np.uint64)
            torch.manual_seed(int(own[0]))

    def state_dict(self) -> dict[str, Any]:
        ranks = [_generators()]
        if dist.is_available() and dist.is_initialized():
            ranks = [{}] * dist.get_world_size()
            dist.all_gather_object(ranks, _generators())
        return {"ranks": ranks}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded = state_dict["ranks"]

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._loaded is None:
            return
        ranks, self._loaded = self._loaded, None
        if trainer.global_rank < len(ranks):
            _restore(ranks[trainer.global_rank])


def _generators() -> dict[str, Any]:
    """Lists and tensors only: checkpoints are loaded with weights_only=True."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore(state: dict[str, Any]) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda"]])
