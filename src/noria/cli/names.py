"""Names of run folders. Resolvers of the config."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from datetime import datetime
from functools import cache

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from noria.common import cluster


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
    """Sorted by time and never twice; the same on all processes that a cluster has started for one run.

    These cannot ask each other yet: their name is made of the launch, what was typed, and how often the job was
    started again.
    """
    if launch := cluster.shared_launch():
        typed = list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else []
        what = hashlib.sha256(json.dumps(typed).encode()).hexdigest()[:6]
        again = f"-r{restarts}" if (restarts := cluster.restarts()) else ""
        return f"job-{launch}-{what}{again}"
    job = f"job-{name}-" if (name := cluster.job()) else ""
    return f"{job}{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
