"""`hydra/sweeper=optuna`: a search by Optuna's ask and tell, with a study that is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.noria.common import asked, settle, writes_wandb_sweep


class OptunaSweeper(Sweeper):
    """Searches for the config whose `monitor` is best.

    Args:
        params: what is searched over, by key, in Hydra's grammar; what is typed is added, and wins.
        space: the dotted path of a function that takes an Optuna trial and gives overrides, by key.
        objectives: the direction of each metric, for several; null for `monitor`.
        n_trials: of the whole study.
        sampler: tpe, cmaes, random, grid, nsga2.
        pruner: median, percentile, asha, hyperband; null for none. Its steps are optimiser steps.
        storage: by URL; null for SQLite in the sweep's folder.
        study_name: null for the sweep's name.
        max_batch_size: how many trials are asked for at once, with other launchers than `local`.
    """

    def __init__(
        self,
        params: DictConfig | None = None,
        space: str | None = None,
        objectives: DictConfig | None = None,
        n_trials: int = 20,
        sampler: Any = "tpe",
        sampler_options: DictConfig | None = None,
        pruner: Any = None,
        pruner_options: DictConfig | None = None,
        storage: str | None = None,
        study_name: str | None = None,
        seed: int = 0,
        max_batch_size: int | None = None,
    ) -> None:
        self._params, self._space, self._objectives = dict(params or {}), space, dict(objectives or {})
        self._batch = max_batch_size or 1
        self._options: dict[str, Any] = {
            "n_trials": n_trials,
            "sampler": sampler,
            "sampler_options": _plain(sampler_options),
            "pruner": pruner,
            "pruner_options": _plain(pruner_options),
            "storage": storage,
            "study_name": study_name,
            "seed": seed,
        }

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        self._context, self._command, self._config = hydra_context, task_function, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        settle(self._config, self._context)
        overrides = asked(self._context, self._params, arguments)
        monitor = self._config.monitor
        if writes_wandb_sweep(self._config):
            from noria.sweep.wandb_sweep import write_wandb_sweep

            method = {"grid": "grid", "random": "random"}.get(str(self._options["sampler"]), "bayes")
            return write_wandb_sweep(self._config, overrides, monitor, method, self._options["n_trials"])
        from noria.sweep.optimize import optimize

        return optimize(
            self._launcher,
            self._context,
            self._config,
            Path(self._config.hydra.sweep.dir),
            overrides,
            self._space,
            self._objectives or {str(monitor.metric): str(monitor.mode)},
            self._options,
            self._batch,
        )


def _plain(options: DictConfig | None) -> Any:
    return None if options is None else OmegaConf.to_container(options, resolve=True)


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="optuna",
    node={
        "_target_": "hydra_plugins.noria.optuna_sweeper.OptunaSweeper",
        "params": None,
        "space": None,
        "objectives": None,
        "n_trials": 20,
        "sampler": "tpe",
        "sampler_options": None,
        "pruner": None,
        "pruner_options": None,
        "storage": None,
        "study_name": None,
        "seed": 0,
        "max_batch_size": None,
    },
    provider="noria",
)
