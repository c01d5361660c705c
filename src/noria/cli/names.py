"""Names of run folders. Resolvers of the config."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from datetime import datetime
from functools import cache

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf


def register_resolvers() -> None:
    """`${run_name:}` is `<experiment>/<id>`; `${sweep_name:…}` is the name given, or
    one made of the overrides: the same command names the same sweep."""
    _id.cache_clear()  # one name a command
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)
    OmegaConf.register_new_resolver("sweep_name", _sweep_name, replace=True)


def _run_name() -> str:
    if not HydraConfig.initialized():  # the config is only being looked at
        return f"default/{_id()}"
    choices = HydraConfig.get().runtime.choices
    stage = choices.get("stage") or "fit"
    return f"{(choices.get('experiment') or 'default') if stage == 'fit' else stage}/{_id()}"


def _sweep_name(experiment: str | None, sweep: str | None, overrides: list[str]) -> str:
    experiment = experiment or "default"
    if sweep:
        return f"{experiment}/{sweep}"
    what = sorted(word for word in overrides if not re.match(r"[+~]*(paths|logger|tags|notes|callback)\b", word))
    return f"{experiment}/sweep-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:8]}"


@cache
def _id() -> str:
    """Sorted by time and never twice; the same on every process of a job that a cluster starts."""
    for name in ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID"):
        if (job := os.environ.get(name)) and job != "none":
            return f"job-{job}"
    return f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
