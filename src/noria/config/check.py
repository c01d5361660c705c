"""The check of a composed config: schema first, then rules. Imports nothing heavy and builds no object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from noria.common.errors import UserError
from noria.common.hardware import machine
from noria.config.messages import broken_interpolation
from noria.config.rules import broken
from noria.config.schema import problems


def check(cfg: DictConfig, choices: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The config as plain containers, everything resolved, if nothing is wrong with it.

    Args:
        choices: the choice made in each config group; every group may have a key at the top.

    Raises:
        UserError: with every problem found, one a line. Rules are asked once the keys and types are right.
    """
    config = _resolved(cfg)
    found = problems(config, groups={group.partition("@")[0].partition("/")[0] for group in choices or {}})
    if not found:
        found = broken(config, machine())
    if found:
        raise UserError("\n".join(dict.fromkeys(found)))
    return config


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    try:
        config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except InterpolationToMissingValueError as error:
        missing = sorted(OmegaConf.missing_keys(OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))))
        if not missing:
            raise UserError(broken_interpolation(error)) from error
        raise UserError("\n".join(f"{key} is required: type {key}=…" for key in missing)) from error
    except OmegaConfBaseException as error:
        raise UserError(broken_interpolation(error)) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
