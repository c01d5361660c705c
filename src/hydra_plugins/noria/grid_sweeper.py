"""Hydra's grid sweeper, with the whole grid checked before the first trial."""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf


class GridSweeper(BasicSweeper):
    """A config error in the last trial costs no training of the first."""

    def validate_batch_is_composable(self, batch: Any) -> None:
        from noria.config.check import check

        assert self.config_loader is not None and self.config is not None
        for overrides in batch:
            config = self.config_loader.load_sweep_config(self.config, list(overrides))
            choices = dict(config.hydra.runtime.choices)
            OmegaConf.set_struct(config, False)
            del config["hydra"]
            check(config, choices)


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="grid",
    node={"_target_": "hydra_plugins.noria.grid_sweeper.GridSweeper", "max_batch_size": None, "params": None},
    provider="noria",
)
