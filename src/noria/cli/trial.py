"""One trial of a sweep: where it runs, and how it ends."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from noria.cli.base import FIT
from noria.cli.ending import ending, say
from noria.cli.names import register_resolvers
from noria.cli.stages import run_checked
from noria.common.end_signals import handle_end_signals
from noria.common.errors import RunError
from noria.config.check import check
from noria.sweep.claim import Place, Taken, claimed, may_be_given_up
from noria.sweep.identity import CHANGED, load_code, trial_key
from noria.sweep.overrides import key_of
from noria.sweep.process import Job

log = logging.getLogger(__name__)


def run_in_process(job: Job, place: Place) -> tuple[int, str]:
    """A trial that has this process to itself.

    Returns:
        Its exit status, and how it failed in one line.
    """
    register_resolvers()
    handle_end_signals()
    try:
        if load_code(check(job.cfg, job.choices)) != job.code:
            raise RunError(f"A component of yours, or Noria, {CHANGED}")
        _run(job.cfg, job.choices, place)
    except BaseException as error:
        status, message = ending(error)
        say(message, status)
        return status, message.partition("\n")[0]
    return 0, ""


def run_among_others(cfg: DictConfig, choices: dict[str, Any], hydra: HydraConf) -> None:
    """A trial that another launcher than Noria's runs: in its process, unless it is done or somebody has it."""
    sweep_dir = Path(hydra.sweep.dir)
    fixed = hydra.job.config.override_dirname.exclude_keys  # the sweeper has told them
    config = check(cfg, choices)
    load_code(config)  # before the key, which so stands for what is loaded
    key = trial_key(config, [key for key in map(key_of, hydra.overrides.task) if key not in fixed])
    try:
        with claimed(sweep_dir, key, may_be_given_up(config)) as place:
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
    if OmegaConf.select(cfg, "stage._target_") == FIT:
        cfg.stage.test = False  # nor does it when it is resumed by itself
    run_checked(check(cfg, choices), choices, multirun=True)
