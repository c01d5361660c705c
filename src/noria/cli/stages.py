"""Runs one stage from a checked config."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from noria.common.cluster import CHILD, is_first_rank
from noria.common.command import command, word
from noria.common.errors import RunError, Terminated, UserError
from noria.common.names import LAST_CHECKPOINT
from noria.config.masking import masked_words

__all__ = ["CHILD", "run_checked", "run_child"]


class StageFailed(Exception):
    """An error of Hydra's or OmegaConf's that a stage raised: not a mistake in the config."""


def run_checked(config: dict[str, Any], choices: dict[str, Any], *, multirun: bool) -> None:
    """Runs the stage of a checked config."""
    sys.argv = masked_words(sys.argv)  # W&B keeps the command line
    try:
        _run_stage(config, choices, multirun=multirun)
    except (KeyboardInterrupt, Terminated) as stop:
        stop.args = (_way_on(config["stage"]["_target_"], config["paths"]["run_dir"]),)
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise _unwrapped(error) from error


def run_child(run: dict[str, Any]) -> None:
    """Another rank of a fit that is under way: its config is resolved, checked and saved."""
    config = OmegaConf.load(Path(run["run_dir"]) / "config.yaml")
    for key, text in run["secrets"].items():  # they stand in no file
        OmegaConf.update(config, key, text)
    _run_stage(OmegaConf.to_container(config), run["choices"], multirun=False)  # type: ignore[arg-type]


def _run_stage(config: dict[str, Any], choices: dict[str, Any], *, multirun: bool) -> None:
    """Imports the verb and runs it; torch comes in here and not before."""
    from noria.common.console import get_console, set_up_logging

    if not isinstance(config.get("stage"), dict):
        raise UserError("The config names no stage: choose one, such as stage=fit.")
    keys = dict(config["stage"])
    module, _, name = keys.pop("_target_").rpartition(".")
    verb: Callable[..., None] = getattr(_imported(module), name)
    set_up_logging()  # after the import: lightning sets its own level
    if not is_first_rank():
        get_console().quiet = True  # the first rank speaks for all
    verb(OmegaConf.create(config), choices, multirun, **keys)


def _imported(name: str) -> ModuleType:
    """Imports a verb, and torch with it, while the garbage collector rests.

    Nothing that an import makes is garbage: to look through 800,000 objects again and again takes more than a second.
    `freeze` keeps them out of every later look as well; not once they are in, when it would keep a trial's garbage.
    """
    if name in sys.modules or not gc.isenabled():
        return importlib.import_module(name)
    gc.disable()
    try:
        module = importlib.import_module(name)
        gc.freeze()
        return module
    finally:
        gc.enable()


def _way_on(verb: str, run_dir: str) -> str:
    """What to type to go on with a fit that has left a checkpoint; whatever else was stopped begins anew."""
    if verb.endswith(".compress"):
        return f" To go on from the last step: {command(word('resume', run_dir))}"
    if not verb.endswith(".fit"):
        return ""
    if not (Path(run_dir) / LAST_CHECKPOINT).is_file():
        return " There is no checkpoint to go on from."
    return f" To go on from the last checkpoint: {command(word('resume', run_dir))}"


def _unwrapped(error: Exception) -> Exception:
    """Hydra wraps what a component raises; a user's mistake, or a package that it lacks, comes out again as itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError | RunError | ModuleNotFoundError):
            return cause
        cause = cause.__cause__
    return StageFailed(str(error))
