"""`stage=wandb_sweep`: the sweeper writes the file (`sweep/wandb_sweep.py`); there is nothing to do for one run."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig

from noria.common.errors import UserError


def wandb_sweep(cfg: DictConfig, choices: dict[str, Any], multirun: bool) -> None:
    """Says how it is used.

    Raises:
        UserError: always: without `--multirun` there is no search.
    """
    raise UserError("stage=wandb_sweep writes down a search: add --multirun, and hparams_search=… or ranges of keys.")
