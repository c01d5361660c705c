"""Names of run folders. Resolvers of the config, made once a process."""

from __future__ import annotations

import os
import secrets
from datetime import datetime

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


def register_resolvers() -> None:
    """`${run_name:}` is `<experiment>/<id>`; `${sweep_name:}` is `<experiment>/sweep-<id>`."""
    OmegaConf.register_new_resolver("run_name", lambda: f"{_what()}/{_id()}", use_cache=True, replace=True)
    OmegaConf.register_new_resolver("sweep_name", lambda: f"{_what()}/sweep-{_id()}", use_cache=True, replace=True)


def _what() -> str:
    if not HydraConfig.initialized():
        return "default"  # the config is only being looked at (--cfg job)
    choices = HydraConfig.get().runtime.choices
    stage = choices.get("stage") or "fit"
    return str((choices.get("experiment") or "default") if stage == "fit" else stage)


def _id() -> str:
    """Sorted by time and never twice; the same on every process of a job that a cluster starts."""
    for name in ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        if (job := os.environ.get(name)) and job != "none":
            return f"job-{job}"
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
