"""What both sweepers do before the first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from noria.common.errors import UserError
from noria.sweep.compose import fixed_keys
from noria.tracking.run_folder import refuse_inside

OF_A_SEARCH = ("callback.pruning", "callback.pruning.number")  # what a search adds to its trials
WANDB_SWEEP = "noria.stage.wandb_sweep.wandb_sweep"


def asked(context: HydraContext, params: Mapping[str, Any], arguments: Sequence[str]) -> list[Override]:
    """The overrides of a command: those of `hydra.sweeper.params`, and those typed, which win."""
    parser = OverridesParser.create(config_loader=context.config_loader)
    typed = parser.parse_overrides(list(arguments))
    keys = {override.key_or_group for override in typed}
    return [*parser.parse_overrides([f"{key}={value}" for key, value in params.items() if key not in keys]), *typed]


def settle(config: DictConfig, context: HydraContext) -> None:
    """Says once, for the trials too, which folder is the sweep's and which keys are not swept over.

    A trial that another launcher runs has only overrides of its own, which do not tell.

    Raises:
        UserError: the sweep is to resume one run, or its folder is a run's.
    """
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


def writes_wandb_sweep(config: DictConfig) -> bool:
    """Whether the search is only to be written down, for W&B's agents."""
    return str((config.get("stage") or {}).get("_target_")) == WANDB_SWEEP
