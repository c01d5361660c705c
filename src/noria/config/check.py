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
from noria.config.schema import problems, required


def check(cfg: DictConfig, choices: Mapping[str, object] | None = None) -> dict[str, Any]:
    """The config as plain containers, everything resolved, if nothing is wrong with it.

    Args:
        choices: the choice made in each config group; every group may have a key at the top.

    Raises:
        UserError: with every problem found, one a line. Rules are asked once the keys and types are right.
    """
    missing = required(OmegaConf.to_container(cfg, resolve=False))
    config = _resolved(cfg, missing)
    # What refers to a missing value is missing too, but it is not what the user has to type.
    consequences = set(required(config)) - set(missing)
    known = {group.partition("@")[0].partition("/")[0] for group in choices or {}}
    found = [problem for problem in problems(config, known) if problem not in consequences]
    if not found:
        found = broken(config, machine())
    if found:
        raise UserError("\n".join(dict.fromkeys(found)))
    return config


def _resolved(cfg: DictConfig, missing: list[str]) -> dict[str, Any]:
    try:
        config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except InterpolationToMissingValueError as error:
        raise UserError("\n".join(missing or [broken_interpolation(error)])) from error
    except OmegaConfBaseException as error:
        raise UserError(broken_interpolation(error)) from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}
