"""What both sweepers do before the first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from noria.common.errors import UserError
from noria.config.schema import component
from noria.sweep.overrides import effective, fixed_keys
from noria.tracking.run_folder import refuse_inside

# Hydra's own config with our choices instead of its own. A primary config that overrode them would win over every
# `override /hydra/sweeper` in an experiment.
OURS = {"sweeper": "grid", "launcher": "local"}
_defaults = [{group: OURS.get(group, choice)} for one in HydraConf().defaults for group, choice in one.items()]
ConfigStore.instance().store(group="hydra", name="config", node=HydraConf(defaults=_defaults), provider="noria")

OF_A_SEARCH = ("callback.pruning", "callback.pruning.number")  # what a search adds to its trials
WANDB_SWEEP = "noria.stage.wandb_sweep.wandb_sweep"


def asked(context: HydraContext, params: Mapping[str, Any], arguments: Sequence[str]) -> list[Override]:
    """The overrides of a command that count: those of `hydra.sweeper.params`, and those typed, which win."""
    parser = OverridesParser.create(config_loader=context.config_loader)
    typed = parser.parse_overrides(list(arguments))
    keys = {override.key_or_group for override in typed}
    params = {key: value for key, value in params.items() if key not in keys}
    return effective([*parser.parse_overrides([f"{key}={value}" for key, value in params.items()]), *typed])


def settle(config: DictConfig, context: HydraContext) -> None:
    """Checks what runs the sweep, and says once, for the trials too, which folder is its and which keys are not swept.

    A trial that another launcher runs has only overrides of its own, which do not tell.

    Raises:
        UserError: a value of the sweeper or launcher is wrong, the sweep is to resume one run, or its folder is one's.
    """
    if found := [problem for part in ("sweeper", "launcher") for problem in _problems(config, part)]:
        raise UserError("\n".join(found))
    if config.get("resume") not in (None, "auto"):
        raise UserError(f"resume={config.resume} goes on with one run; a sweep goes on by itself. Leave it out.")
    folder = str(config.hydra.sweep.dir)
    refuse_inside(Path(folder) / "trial")
    with open_dict(config.hydra):
        config.hydra.sweep.dir = folder
        quoted = folder.replace("\\", "\\\\").replace("'", "\\'")
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir='{quoted}'")
        parser = OverridesParser.create(config_loader=context.config_loader)
        fixed = fixed_keys(parser.parse_overrides(list(config.hydra.overrides.task)))
        keys = ",".join(sorted({*fixed, *OF_A_SEARCH}))
        config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{keys}]")


def _problems(config: DictConfig, part: str) -> list[str]:
    node = OmegaConf.to_container(config.hydra[part], resolve=True)
    return component(f"hydra.{part}", node) if isinstance(node, dict) else []


def writes_wandb_sweep(config: DictConfig) -> bool:
    """Whether the search is only to be written down, for W&B's agents."""
    return str((config.get("stage") or {}).get("_target_")) == WANDB_SWEEP
