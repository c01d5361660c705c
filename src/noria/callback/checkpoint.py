"""The best checkpoints by the monitored metric, and the last one for resuming. Knows nothing of artifacts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
from annotated_types import Ge, Gt
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint

from noria.callback.interrupt import Interrupt

LAST = "last.ckpt"


def checkpoints(
    *,
    directory: str,
    monitor: str,
    mode: Literal["max", "min"],
    keep: Annotated[int, Ge(1)] = 1,
    every_n_steps: Annotated[int, Gt(0)] | None = 500,
) -> list[Callback]:
    """Two callbacks: one keeps the best, one the last.

    Args:
        directory: where the files go.
        keep: how many of the best are kept.
        every_n_steps: optimiser steps between two writes of the last; it is also written after each epoch.
    """
    best = BestCheckpoint(
        dirpath=directory,
        filename="best-{epoch}-{step}",
        monitor=monitor,
        mode=mode,
        save_top_k=keep,
        save_on_train_epoch_end=False,  # after each validation, also in mid-epoch
        save_weights_only=True,  # resuming takes the last one
        auto_insert_metric_name=True,
    )
    return [best, LastCheckpoint(Path(directory) / LAST, every_n_steps)]


class BestCheckpoint(ModelCheckpoint):
    """Lightning's forgets what was best so far where the run folder has been moved; this one does not."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(_moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_moved(name, old, new): _moved(item, old, new) for name, item in value.items()}
    if isinstance(value, str) and value.startswith(old):
        return new + value.removeprefix(old)
    return value


class LastCheckpoint(Checkpoint):
    """Writes everything that resuming needs, every n optimiser steps and after each epoch, over the last one.

    And where the run has been told to end (`Interrupt`), after the step it was in.
    """

    def __init__(self, path: Path, every_n_steps: int | None) -> None:
        self._path = path
        self._every = every_n_steps
        self._saved_at = -1
        self.writes = 0
        self.seconds = 0.0  # that training waited for them

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        step = trainer.global_step  # in the middle of an accumulation it is still that of the step before
        due = self._every and step and step % self._every == 0 and step != self._saved_at
        if due or any(c.leaving for c in trainer.callbacks if isinstance(c, Interrupt)):  # type: ignore[attr-defined]
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._saved_at = trainer.global_step
        started = time.perf_counter()
        trainer.save_checkpoint(self._path, weights_only=False)
        self.writes += 1
        self.seconds += time.perf_counter() - started
