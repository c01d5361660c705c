"""Tells an Optuna study how a trial does, and gives it up where the study's pruner says so."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import optuna
from lightning.pytorch.callbacks import Callback

from noria.callback.pruners import make_pruner
from noria.common.errors import Pruned


class Pruning(Callback):
    """Reports the metric after each validation, by optimiser step. The search sets all of this.

    Args:
        storage, study: where the study lies, and its name.
        number: of the trial in the study.
        metric: as it is logged; `monitor` is what it can be read by.

    Raises:
        Pruned: the trial is given up; on all ranks after the same validation.
    """

    def __init__(
        self,
        *,
        storage: str,
        study: str,
        number: int,
        metric: str,
        pruner: str,
        pruner_options: dict[str, Any] | None = None,
    ) -> None:
        self._pruner, self._pruner_options = pruner, pruner_options  # a study does not keep them
        self._storage, self._study, self._number, self.monitor = storage, study, number, metric
        self._trial: optuna.Trial | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pruned = False
        value = trainer.callback_metrics.get(self.monitor)
        if trainer.is_global_zero and value is not None:
            trial = self._opened()
            trial.report(float(value), step=trainer.global_step)
            pruned = trial.should_prune()
        if trainer.strategy.broadcast(pruned):
            said = "" if value is None else f"{self.monitor} {float(value):.4f} after {trainer.global_step} steps"
            raise Pruned(said)

    def _opened(self) -> optuna.Trial:
        if self._trial is None:
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            pruner = make_pruner(self._pruner, self._pruner_options)
            study = optuna.load_study(storage=self._storage, study_name=self._study, pruner=pruner)
            found = study.get_trials(deepcopy=False)[self._number]
            self._trial = optuna.Trial(study, found._trial_id)
        return self._trial
