"""Ends a run whose monitored number is no number, or whose weights are none at its end. Part of every fit."""

from __future__ import annotations

import math

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from noria.callback.health import broken_weights, diverged
from noria.common.errors import RunError


class Monitored(Callback):
    """Raises RunError at the first validation in which a monitored number has no value, is NaN or infinite.

    Every comparison with NaN is false: the first checkpoint would stay the best one, whatever comes after it.
    Monitored is `metric`, and what a callback of the run names as its `monitor`. At the end of the training the last
    loss and all weights have to be finite as well, so that no other artifact is saved.

    Args:
        metric: as it is logged, `val/…`.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric

    def names(self, trainer: pl.Trainer) -> list[str]:
        """All that is monitored in the trainer's run."""
        named = (getattr(callback, "monitor", None) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        return list(dict.fromkeys([self._metric, *(name for name in named if isinstance(name, str))]))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for name in self.names(trainer):
            self._check(name, trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loss = trainer.callback_metrics.get("train/loss")
        bad = loss is not None and not math.isfinite(float(loss))
        if trainer.strategy.reduce_boolean_decision(bad, all=False):
            raise diverged("The training ended with a loss that is no number", trainer, pl_module)
        if trainer.strategy.reduce_boolean_decision(bool(broken_weights(pl_module)), all=False):
            raise diverged("The training ended with weights that are no numbers", trainer, pl_module)

    def _check(self, name: str, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        shown = trainer.callback_metrics
        value, loss = (float(shown[key]) if key in shown else None for key in (name, "val/loss"))
        why = getattr(module, "no_value", {}).get(name)
        if why is None and (value is None or math.isfinite(value)):
            return
        if why is None and (name == "val/loss" or (loss is not None and not math.isfinite(loss))):
            raise diverged(f"The validation loss became {loss}", trainer, module)
        others = [key for key, other in shown.items() if key.startswith("val/") and math.isfinite(float(other))]
        raise RunError(no_value(name, why or f"it is {value}, while the loss is a number", others, trainer.global_step))


def no_value(name: str, why: str, others: list[str], step: int = 0) -> str:
    """What is said of a monitored number that has no value.

    Args:
        others: the numbers of the validation that have one.
        step: after which it was measured; 0: before the first.
    """
    instead = " or ".join(sorted(others)) or "a number that has one"
    return (
        f"{name} has no value on the validation set{f' after step {step}' if step else ''}: {why}. It is monitored, so "
        f"the best weights cannot be told. Monitor another number (monitor.metric={instead}, with its monitor.mode), "
        "or validate on rows on which it has a value."
    )
