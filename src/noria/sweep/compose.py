"""The config of each trial, composed as Hydra would, in a hundredth of the time where only values differ."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from noria.common.errors import UserError
from noria.common.paths import conf_dir
from noria.sweep.overrides import fixed_keys, key_of


class Composer:
    """Composing takes 0.2 s: once for each choice of groups, and the values of each trial are set upon it.

    What Hydra has composed to start the sweep serves all trials that differ in values alone.
    """

    def __init__(self, context: HydraContext, config: DictConfig) -> None:
        self._config = config
        self._loader = context.config_loader
        # Where the sweep starts from a saved config, Hydra looks for groups in its folder alone.
        shipped = (path.name for path in conf_dir().iterdir() if path.is_dir())
        self._groups = {*self._loader.list_groups(""), *shipped}
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._typed = set(config.hydra.overrides.task)
        self._fixed = fixed_keys(self._parser.parse_overrides(list(config.hydra.overrides.task)))
        self._composed: dict[tuple[str, ...], tuple[DictConfig, dict[str, Any]]] = {}

    def __call__(self, words: Sequence[str]) -> tuple[DictConfig, dict[str, Any]]:
        """A trial's config without `hydra`, unresolved, and the choice made in each group."""
        overrides = self._parser.parse_overrides(list(words))
        plain = [o for o in overrides if o.type == OverrideType.CHANGE and not self._names_group(o)]
        structure = tuple(str(o.input_line) for o in overrides if o not in plain)
        if structure not in self._composed:
            known = self._typed.issuperset(structure)
            whole = self._config if known else self._loader.load_sweep_config(self._config, list(words))
            self._refuse_other_machinery(whole)
            bare = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
            self._composed[structure] = bare, dict(whole.hydra.runtime.choices)
        bare, choices = self._composed[structure]
        config = copy.deepcopy(bare)
        OmegaConf.set_struct(config, False)
        for override in plain:
            OmegaConf.update(config, override.key_or_group, override.value())
        return config, dict(choices)

    def swept(self, words: Sequence[str]) -> list[str]:
        """What tells this trial from the others of the command."""
        return [word for word in words if key_of(word) not in self._fixed]

    def _refuse_other_machinery(self, trial: DictConfig) -> None:
        """A trial cannot choose what runs it: that was chosen before there were trials."""
        for group in ("hydra/sweeper", "hydra/launcher"):
            ours, its = (config.hydra.runtime.choices.get(group) for config in (self._config, trial))
            if ours != its:
                raise UserError(
                    f"One of the choices that are swept over chooses {group}={its}, and the sweep has {group}={ours}: "
                    f"type {group}={its}, which goes for all trials."
                )

    def _names_group(self, override: Override) -> bool:
        return "/" in override.key_or_group or override.key_or_group in self._groups
