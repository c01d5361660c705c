"""`hydra/sweeper=optuna`: a search by Optuna's ask and tell, with a study that is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.noria.common import asked, settle, writes_wandb_sweep
from noria.common.errors import UserError


class OptunaSweeper(Sweeper):
    """Searches for the config whose `monitor` is best.

    Args:
        params: what is searched over, by key, in Hydra's grammar; what is typed is added, and wins.
        space: the dotted path of a function that takes an Optuna trial and gives overrides, by key.
        objectives: the direction of each metric, for several; null for `monitor`.
        direction: as Optuna's own sweeper has it, maximize or minimize; it must be that of `monitor.mode`.
        n_trials: of the whole study.
        n_jobs: as Optuna's own sweeper has it: null for the launcher's.
        sampler: tpe, cmaes, random, grid, nsga2, or one of Optuna's own (`_target_: optuna.samplers.…`).
        pruner: median, percentile, asha, hyperband; null for none. Its steps are optimiser steps.
        storage: by URL; null for SQLite in the sweep's folder.
        study_name: null for the sweep's name.
        max_batch_size: how many trials are asked for at once, with other launchers than `local`.
    """

    def __init__(
        self,
        params: dict[str, Any] | None = None,
        space: str | None = None,
        objectives: dict[str, Literal["max", "min"]] | None = None,
        direction: Literal["maximize", "minimize"] | None = None,
        n_trials: Annotated[int, Ge(1)] = 20,
        n_jobs: Annotated[int, Ge(1)] | None = None,
        sampler: Any = "tpe",
        sampler_options: dict[str, Any] | None = None,
        pruner: str | None = None,
        pruner_options: dict[str, Any] | None = None,
        storage: str | None = None,
        study_name: str | None = None,
        seed: Annotated[int, Ge(0)] = 0,
        max_batch_size: Annotated[int, Ge(1)] | None = None,
    ) -> None:
        self._params, self._space, self._objectives = params, space, objectives
        self._direction, self._jobs, self._batch = direction, n_jobs, max_batch_size or 1
        self._options: dict[str, Any] = {
            "n_trials": n_trials,
            "sampler": sampler,
            "sampler_options": sampler_options,
            "pruner": pruner,
            "pruner_options": pruner_options,
            "storage": storage,
            "study_name": study_name,
            "seed": seed,
        }

    def setup(self, *, hydra_context: HydraContext, task_function: Any, config: DictConfig) -> None:
        self._context, self._command, self._config = hydra_context, task_function, config
        if self._jobs is not None and "n_jobs" in config.hydra.launcher:
            config.hydra.launcher.n_jobs = self._jobs
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        settle(self._config, self._context)
        overrides = asked(self._context, self._params or {}, arguments)
        monitor = self._config.monitor
        if self._direction not in (None, {"max": "maximize", "min": "minimize"}.get(monitor.mode)):
            raise UserError(
                f"hydra.sweeper.direction={self._direction}, and monitor.mode={monitor.mode}: checkpoints and the "
                "search look at the same number. Leave the direction out, or change monitor.mode."
            )
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
            dict(self._objectives or {str(monitor.metric): str(monitor.mode)}),
            {name: _plain(value) for name, value in self._options.items()},
            self._batch,
        )


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="optuna",
    node={
        "_target_": "hydra_plugins.noria.optuna_sweeper.OptunaSweeper",
        "params": None,
        "space": None,
        "objectives": None,
        "direction": None,
        "n_trials": 20,
        "n_jobs": None,
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
