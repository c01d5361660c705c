"""Rules on what Weights & Biases takes. They know its limits, which it checks only when a run begins."""

from __future__ import annotations

import os
from typing import Any

from noria.common.hardware import Machine
from noria.config.rules.facts import at
from noria.config.rules.registry import rule

TAG, PROJECT = 64, 128  # characters
FORBIDDEN = "/\\#?%:"
MODES = ("online", "offline", "disabled", "dryrun", "run")


@rule
def wandb_tags(config: dict[str, Any], machine: Machine) -> str | None:
    """A tag (`tags=[…]`) of no or of more than 64 characters, with `logger=wandb`."""
    tags = config.get("tags")
    if not logs(config) or not isinstance(tags, list):
        return None
    for tag in map(str, tags):
        if not 1 <= len(tag) <= TAG:
            shown = tag if len(tag) <= TAG else f"{tag[:30]}…"
            return f"tags: '{shown}' has {len(tag)} characters, and W&B takes 1 to {TAG}: notes=… has room."
    return None


@rule
def wandb_project(config: dict[str, Any], machine: Machine) -> str | None:
    """A name in `logger.wandb` that W&B refuses: a project of more than 128 characters or with one of `/\\#?%:`."""
    if not logs(config):
        return None
    name = str(at(config, "logger.wandb.project") or "")
    found = [char for char in FORBIDDEN if char in name]
    if found:
        return (
            f"logger.wandb.project={name} holds {' and '.join(found)}, which no project of W&B may (nor any of "
            f"{' '.join(FORBIDDEN)}). A team's name is logger.wandb.entity."
        )
    if len(name) > PROJECT:
        return f"logger.wandb.project has {len(name)} characters, and W&B takes {PROJECT} at most: shorten it."
    return None


@rule
def wandb_mode(config: dict[str, Any], machine: Machine) -> str | None:
    """`WANDB_MODE` in the environment is none of W&B's modes, in upper or lower case, with `logger=wandb`."""
    mode = os.environ.get("WANDB_MODE")
    if not logs(config) or not mode or mode.strip().lower() in MODES:
        return None
    return f"WANDB_MODE={mode} in the environment is no mode of W&B: online, offline or disabled would be."


def logs(config: dict[str, Any]) -> bool:
    """Whether this run logs to W&B."""
    return isinstance(at(config, "logger.wandb"), dict)
