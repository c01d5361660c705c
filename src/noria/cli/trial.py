"""One trial of a sweep: where it runs, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from noria.cli.ending import ending, say
from noria.cli.names import register_resolvers
from noria.cli.stages import run_checked
from noria.common.errors import Terminated
from noria.config.check import check
from noria.sweep.claim import Place, Taken, claimed
from noria.sweep.identity import trial_key

log = logging.getLogger(__name__)


def run_in_process(cfg: DictConfig, choices: dict[str, Any], place: Place) -> tuple[int, str]:
    """A trial that has this process to itself.

    Returns:
        Its exit status, and how it failed in one line.
    """
    register_resolvers()
    signal.signal(signal.SIGTERM, _terminate)
    try:
        _run(cfg, choices, place)
    except BaseException as error:
        status, message = ending(error)
        say(message, status)
        return status, message.partition("\n")[0]
    return 0, ""


def run_among_others(cfg: DictConfig, choices: dict[str, Any], sweep_dir: Path) -> None:
    """A trial that another launcher than Noria's runs: in its process, unless it is done or somebody has it."""
    key = trial_key(check(cfg, choices))
    try:
        with claimed(sweep_dir, key) as place:
            if place.finished:
                log.info("trial %s is done: %s", key, place.folder)
            else:
                _run(cfg, choices, place)
    except Taken:
        log.info("trial %s runs elsewhere", key)


def _run(cfg: DictConfig, choices: dict[str, Any], place: Place) -> None:
    OmegaConf.set_struct(cfg, False)
    folder = os.path.relpath(place.folder) if place.folder.is_relative_to(Path.cwd()) else str(place.folder)
    cfg.paths.run_dir = folder
    cfg.resume = folder if place.resumes else None
    cfg.sweep = place.folder.parent.name
    run_checked(check(cfg, choices), choices, multirun=True)


def _terminate(*_: Any) -> None:
    raise Terminated
