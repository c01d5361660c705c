"""The best checkpoints by the monitored metric, and the last one for resuming. Knows nothing of artifacts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning.pytorch as pl
from annotated_types import Ge, Gt
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint

from noria.callback.interrupt import Interrupt
from noria.callback.moment import validation_follows
from noria.common.names import LAST


def checkpoints(
    *,
    directory: str,
    monitor: str,
    mode: Literal["max", "min"],
    keep: Annotated[int, Ge(1)] = 1,
    every_n_steps: Annotated[int, Gt(0)] | None = 500,
    average: Annotated[int, Ge(2)] | None = None,
) -> list[Callback]:
    """Two callbacks: one keeps the best, one the last. A third keeps those that are averaged, where any are.

    Args:
        directory: where the files go.
        keep: how many of the best are kept.
        every_n_steps: optimiser steps between two writes of the last; it is also written after each epoch.
        average: the artifact has the mean of the weights of so many last validations (Vaswani et al. 2017, section
            6.1), in place of the best.
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
    averaged = [AveragedCheckpoint(directory, average)] if average is not None else []
    return [best, *averaged, LastCheckpoint(Path(directory) / LAST, every_n_steps)]


class BestCheckpoint(ModelCheckpoint):
    """Lightning's forgets what was best so far where the run folder has been moved; this one does not."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(_moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))


class AveragedCheckpoint(BestCheckpoint):
    """Keeps the weights of the last validations, of which the artifact gets the mean."""

    def __init__(self, directory: str, count: int) -> None:
        super().__init__(
            dirpath=directory,
            filename="average-{step}",
            monitor="step",
            mode="max",
            save_top_k=count,
            save_on_train_epoch_end=False,
            save_weights_only=True,
        )

    @property
    def files(self) -> list[str]:
        """Those that are kept, the oldest first."""
        return sorted(self.best_k_models, key=lambda path: float(self.best_k_models[path]))


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_moved(name, old, new): _moved(item, old, new) for name, item in value.items()}
    if isinstance(value, str) and value.startswith(old):
        return new + value.removeprefix(old)
    return value


class LastCheckpoint(Checkpoint):
    """Writes everything that resuming needs, every n optimiser steps and after each epoch, over the last one.

    And where the run has been told to end (`Interrupt`), after the step it was in. A write that falls before a
    validation comes one step after it, and before the end of an epoch with that end: what the run has measured and
    logged by then is behind the checkpoint, and nothing is lost or made twice.
    """

    def __init__(self, path: Path, every_n_steps: int | None) -> None:
        self._path = path
        self._every = every_n_steps
        self._stepped = 0
        self._due = False
        self.writes = 0
        self.seconds = 0.0  # that training waited for them

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stepped = trainer.global_step  # a resumed run has made some

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._stepped:  # in the middle of an accumulation
            return
        self._stepped = trainer.global_step
        self._due = self._due or bool(self._every and self._stepped % self._every == 0)
        if trainer.is_last_batch or validation_follows(trainer, batch_idx):
            return
        if self._due or any(c.leaving for c in trainer.callbacks if isinstance(c, Interrupt)):  # type: ignore[attr-defined]
            self._save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._due = False
        started = time.perf_counter()
        trainer.save_checkpoint(self._path, weights_only=False)
        self.writes += 1
        self.seconds += time.perf_counter() - started


def price(trainer: pl.Trainer) -> dict[str, float]:
    """How often the last checkpoint was written in this part of the run, and how long training waited for it."""
    last = next((c for c in trainer.checkpoint_callbacks if isinstance(c, LastCheckpoint)), None)
    return {"writes": last.writes, "seconds": last.seconds} if last else {}
