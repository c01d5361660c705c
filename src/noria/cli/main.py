"""The single entry: compose, check, run one stage, and end with the right status (`ending.py`)."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from noria.cli.base import Start, find_start
from noria.cli.ending import ending, say
from noria.cli.names import register_resolvers
from noria.cli.resume import find_unfinished, refuse_changes, refuse_finished
from noria.cli.stages import CHILD, run_checked, run_child
from noria.common import cluster
from noria.common.end_signals import handle_end_signals, ignore_end_signals, restore_signals
from noria.common.errors import UserError
from noria.common.paths import conf_dir, remove_if_empty
from noria.common.process import keep_sockets_short
from noria.common.visible import visible
from noria.config.check import check
from noria.config.messages import explain
from noria.config.rules.facts import at, trains
from noria.tracking.run_folder import refuse_folder_of_all, refuse_taken


def entry() -> None:
    """What `noria` and `scripts/run.py` call."""
    handle_end_signals()
    status = main(sys.argv[1:], handled=True)
    ignore_end_signals()
    sys.exit(status)


def main(argv: list[str], handled: bool = False) -> int:
    """Runs one command line; returns its exit status.

    Args:
        handled: whether somebody handles the signals to end already, and goes on to do so.
    """
    before = {} if handled else handle_end_signals()
    try:
        keep_sockets_short()
        if CHILD in os.environ and "LOCAL_RANK" in os.environ:
            run_child(json.loads(os.environ[CHILD]))
        else:
            _load_dotenv()
            _run_hydra(argv)
    except BaseException as error:
        status, message = ending(error)
        say(message, status)
        return status
    finally:
        restore_signals(before)
    return 0


class Command:
    """What Hydra calls with each composed config.

    Args:
        start: where the command began; a launcher that runs trials elsewhere asks for it.
    """

    def __init__(self, start: Start) -> None:
        self.start = start
        self.failed: Exception | None = None

    def __call__(self, cfg: DictConfig) -> None:
        try:
            self._run(cfg)
        except Exception as error:
            self.failed = self.failed or error  # past Hydra, which would print a line of its own
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the launcher notes that this trial failed

    def _run(self, cfg: DictConfig) -> None:
        hydra_config = HydraConfig.get()
        output_dir = Path(hydra_config.runtime.output_dir)
        OmegaConf.set_struct(cfg, False)
        register_resolvers()  # a launcher may have brought this to another process
        keep_sockets_short()
        try:
            choices = self.start.ready(cfg, hydra_config.runtime.choices)
            if hydra_config.mode == RunMode.MULTIRUN:
                from noria.cli.trial import run_among_others

                run_among_others(cfg, choices, hydra_config)
            else:
                _say_that_one_run_is_no_search(hydra_config.runtime.choices.get("hparams_search"))
                cfg.paths.run_dir = _relative(output_dir)
                run_checked(self._made_ready(cfg, choices, output_dir), choices, multirun=False)
        finally:
            remove_if_empty(output_dir)  # Hydra makes it before the config is checked

    def _made_ready(self, cfg: DictConfig, choices: dict[str, Any], output_dir: Path) -> dict[str, Any]:
        """The checked config of a run, with the folder that it goes on in."""
        config = check(cfg, choices)
        if self.start.resumed is not None:
            refuse_finished(Path(config["resume"]), at(config, "model.architecture"))
            refuse_changes(self.start.resumed, config)
        again = cluster.job() if cluster.restarts() and trains(config) else None
        if cfg.resume == "auto" or (cfg.resume is None and again):
            unfinished = find_unfinished(config, output_dir, None if cfg.resume else again)
            cfg.resume = None if unfinished is None else _relative(unfinished)
            if unfinished is not None:
                cfg.paths.run_dir = cfg.resume
                if cluster.is_first_rank():
                    print(visible(f"Goes on with {unfinished}."), file=sys.stderr)
            config = check(cfg, choices)
        if config["resume"] is None and trains(config) and cluster.is_first_rank():
            refuse_folder_of_all(Path(config["paths"]["run_dir"]), Path(config["paths"]["runs"]))
            refuse_taken(Path(config["paths"]["run_dir"]))
        return config


def _run_hydra(argv: list[str]) -> None:
    register_resolvers()
    # A shell leaves a ~ in the middle of a word as it is, and Hydra cannot read it.
    start = find_start([re.sub(r"(?<==)~(?=/)", os.path.expanduser("~"), word) for word in argv])
    full_error, arguments = os.environ.get("HYDRA_FULL_ERROR"), sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises in place of printing and leaving
    # argparse takes the overrides in one piece only; people put options between them
    sys.argv = [arguments[0], *sorted(start.argv, key=lambda word: not re.match(r"~|[^-].*=", word))]
    command = Command(start)
    # Hydra composes everything a first time only to read hydra.mode: 0.2 s.
    read_mode = Hydra.get_mode
    if not _may_name_multirun(start.argv):
        Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        hydra.main(version_base="1.3", config_path=str(start.config_dir), config_name=start.config_name)(command)()
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        if command.failed is None:  # it comes from composing, and not out of a trial
            raise UserError(explain(error, conf_dir())) from error
    except (NotADirectoryError, FileExistsError) as error:  # Hydra makes the folder of a run or a sweep
        if command.failed is None:
            raise UserError(
                f"{error.filename} cannot be a folder ({error.strerror}), and the run or the sweep was to lie in it: "
                "see paths.runs, paths.run_dir, hydra.run.dir and hydra.sweep.dir."
            ) from error
    finally:
        sys.argv, Hydra.get_mode = arguments, read_mode  # type: ignore[method-assign]
        start.clean_up()
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    if command.failed is not None:
        raise command.failed


def _may_name_multirun(argv: list[str]) -> bool:
    """Whether a config file or the command line may ask for a multirun besides -m (`hydra.mode: MULTIRUN`)."""
    if any("hydra.mode=" in word or "hydra.searchpath=" in word for word in argv):
        return True
    added = [argv[at + 1] for at, word in enumerate(argv[:-1]) if word in ("--config-dir", "-cd")]
    added += [word.partition("=")[2] for word in argv if word.startswith("--config-dir=")]
    files = (path for folder in (conf_dir(), *map(Path, added)) for path in folder.rglob("*.yaml"))
    return any(b"MULTIRUN" in path.read_bytes() for path in files if path.is_file())


def _say_that_one_run_is_no_search(search: str | None) -> None:
    """An agent of W&B's makes single runs of a search; a person who typed one has forgotten something."""
    if search and not os.environ.get("WANDB_SWEEP_ID"):
        said = f"hparams_search={search} without --multirun: this is one run, with nothing searched."
        print(visible(said), file=sys.stderr)


def _relative(folder: Path) -> str:
    """Relative to the working directory where it lies inside, for paths that people read and move."""
    with suppress(ValueError):
        return str(folder.resolve().relative_to(Path.cwd()))
    return str(folder)


def _load_dotenv() -> None:
    if Path(".env").is_file():
        from dotenv import load_dotenv

        load_dotenv(Path(".env"))
