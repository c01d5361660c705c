"""Hydra's grid sweeper, with the whole grid checked before the first trial, and one folder for all launchers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from hydra_plugins.noria.common import asked, settle, writes_wandb_sweep
from noria.common.paths import remove_if_empty
from noria.config.masking import masked
from noria.sweep.overrides import effective, values_of


class GridSweeper(BasicSweeper):
    """A config error in the last trial costs no training of the first.

    Args:
        max_batch_size: how many trials are given to the launcher at once; null for all.
        params: what is swept over, by key; what is typed is added, and wins.
    """

    def __init__(
        self, max_batch_size: Annotated[int, Ge(1)] | None = None, params: dict[str, Any] | None = None
    ) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> Any:
        assert self.hydra_context is not None and self.config is not None
        settle(self.config, self.hydra_context)
        if writes_wandb_sweep(self.config):
            from noria.sweep.wandb_sweep import write_wandb_sweep

            overrides = asked(self.hydra_context, self.params, arguments)
            return write_wandb_sweep(self.config, overrides, self.config.monitor, "grid", None)
        # Hydra writes `self.config` into multirun.yaml and runs nothing from it: the launcher has the config itself.
        self._typed, plain = self.config, OmegaConf.to_container(self.config, resolve=False)
        self.config = OmegaConf.create(masked(plain))
        return super().sweep(arguments)

    @staticmethod
    def split_arguments(overrides: Sequence[Override], max_batch_size: int | None) -> list[list[list[str]]]:
        """The batches of trials; Hydra's own keeps one override of a key only, also of two dicts."""
        lists = []
        for one in effective(overrides):
            swept = one.is_sweep_override()
            lists.append([f"{one.get_key_element()}={text}" for text in values_of(one)] if swept else [one.input_line])
        trials = [list(words) for words in itertools.product(*lists)]
        size = max_batch_size or len(trials)
        return [trials[start : start + size] for start in range(0, len(trials), size)]

    def validate_batch_is_legal(self, batch: Any) -> None:
        from noria.config.check import check
        from noria.sweep.compose import Composer

        assert self.hydra_context is not None and self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        try:
            compose = Composer(self.hydra_context, self._typed)
            for words in batch:
                check(*compose(words))
        except Exception:
            # Hydra has made the sweep's folder already; a sweep that never began leaves none.
            (folder / "multirun.yaml").unlink(missing_ok=True)
            remove_if_empty(folder)
            raise


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="grid",
    node={"_target_": "hydra_plugins.noria.grid_sweeper.GridSweeper", "max_batch_size": None, "params": None},
    provider="noria",
)
