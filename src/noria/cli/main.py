"""The single entry: compose, check, run one stage, and end with the right status.

0 done, 1 failed, 2 a user's mistake, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich import get_console
from yaml import YAMLError

from noria.cli.base import Start, find_start
from noria.cli.names import register_resolvers
from noria.cli.resume import find_unfinished, refuse_changes, refuse_finished
from noria.common.errors import RunError, Terminated, UserError
from noria.common.paths import conf_dir, remove_if_empty
from noria.config.check import check
from noria.config.messages import explain

# A disk that is full, a quota, a folder that is not to be written: no fault of Noria's.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)
CHILD = "NORIA_CHILD"  # set for the other ranks of a run: the run's folder and choices, as JSON


class StageFailed(Exception):
    """An error of Hydra's or OmegaConf's that a stage raised: not a mistake in the config."""


def entry() -> None:
    """What `noria` and `scripts/run.py` call."""
    sys.exit(main(sys.argv[1:]))


def main(argv: list[str]) -> int:
    """Runs one command line; returns its exit status."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        if CHILD in os.environ and "LOCAL_RANK" in os.environ:
            _run_child(json.loads(os.environ[CHILD]))
        else:
            _load_dotenv()
            _run_hydra(argv)
    except UserError as error:
        return _say(error, 2)
    except (HydraException, OmegaConfBaseException) as error:
        return _say(UserError(explain(error, conf_dir())), 2)
    except RunError as error:
        return _say(error, 1)
    except KeyboardInterrupt as stop:
        return _say(f"Interrupted.{_way_on(stop)}", 130)
    except Terminated as stop:
        return _say(f"Terminated.{_way_on(stop)}", 143)
    except SystemExit as stop:  # Hydra's own --help and the like
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _say(f"{error.filename or 'A file'} cannot be written: {error.strerror}.", 1)
        traceback.print_exc()
        return _say("This is a fault in Noria or in a component of yours, not in the config.", 1)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _run_hydra(argv: list[str]) -> None:
    register_resolvers()
    # A shell leaves a ~ in the middle of a word as it is, and Hydra cannot read it.
    start = find_start([re.sub(r"(?<==)~(?=/)", os.path.expanduser("~"), word) for word in argv])
    full_error, arguments = os.environ.get("HYDRA_FULL_ERROR"), sys.argv
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises in place of printing and leaving
    # argparse takes the overrides in one piece only; people put options between them
    sys.argv = [arguments[0], *sorted(start.argv, key=lambda word: not re.match(r"~|[^-].*=", word))]
    failed: list[Exception] = []

    def task(cfg: DictConfig) -> None:
        try:
            _task(cfg, start)
        except Exception as error:
            failed.append(error)  # past Hydra, which would print a line of its own
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # the launcher notes that this trial failed

    # Hydra composes everything a first time only to read hydra.mode: 0.2 s. Here -m alone decides it.
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        hydra.main(version_base="1.3", config_path=str(start.config_dir), config_name=start.config_name)(task)()
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        if not failed:  # it comes from composing, and not out of a trial
            raise UserError(explain(error, conf_dir())) from error
    finally:
        sys.argv = arguments
        start.clean_up()
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
    if failed:
        raise failed[0]


def _task(cfg: DictConfig, start: Start) -> None:
    hydra_config = HydraConfig.get()
    output_dir = Path(hydra_config.runtime.output_dir)
    try:
        OmegaConf.set_struct(cfg, False)
        cfg.paths.run_dir = _relative(output_dir)
        choices = {k: v for k, v in hydra_config.runtime.choices.items() if not k.startswith("hydra/")}
        choices = {**start.choices, **{k: v for k, v in choices.items() if v is not None}}
        config = check(cfg, choices)
        if start.resumed is not None:
            refuse_finished(Path(config["resume"]))
            refuse_changes(start.resumed, config)
        if cfg.resume == "auto":
            unfinished = find_unfinished(config, output_dir)
            cfg.resume = None if unfinished is None else str(unfinished)
            if unfinished is not None:
                cfg.paths.run_dir = str(unfinished)
            config = check(cfg, choices)
        os.environ[CHILD] = json.dumps({"run_dir": config["paths"]["run_dir"], "choices": choices})
        try:
            run_stage(config, choices, multirun=hydra_config.mode == RunMode.MULTIRUN)
        except (KeyboardInterrupt, Terminated) as stop:
            stop.args = (config["paths"]["run_dir"],)
            raise
        except (HydraException, OmegaConfBaseException) as error:
            raise _unwrapped(error) from error
        finally:
            del os.environ[CHILD]
    finally:
        remove_if_empty(output_dir)  # Hydra makes it before the config is checked


def run_stage(config: dict[str, Any], choices: dict[str, Any], *, multirun: bool) -> None:
    """Imports the verb and runs it; torch comes in here and not before."""
    from noria.common.console import set_up_logging

    if not isinstance(config.get("stage"), dict):
        raise UserError("The config names no stage: choose one, such as stage=fit.")
    keys = dict(config["stage"])
    module, _, name = keys.pop("_target_").rpartition(".")
    verb: Callable[..., None] = getattr(_imported(module), name)
    set_up_logging()  # after the import: lightning sets its own level
    if any(int(os.environ.get(name, 0)) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID")):
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


def _run_child(run: dict[str, Any]) -> None:
    """Another rank of a run that is under way: its config is resolved, checked and saved."""
    config = OmegaConf.load(Path(run["run_dir"]) / "config.yaml")
    run_stage(OmegaConf.to_container(config), run["choices"], multirun=False)  # type: ignore[arg-type]


def _way_on(stop: BaseException) -> str:
    """What to type to go on, if the run has left a checkpoint."""
    run_dir = next(iter(stop.args), None)
    if not isinstance(run_dir, str) or not (Path(run_dir) / "checkpoints" / "last.ckpt").is_file():
        return " There is no checkpoint to go on from."
    return f" To go on from the last checkpoint: resume={run_dir}"


def _unwrapped(error: Exception) -> Exception:
    """Hydra wraps what a component's constructor raises; a user's mistake comes out again as itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError | RunError):
            return cause
        cause = cause.__cause__
    return StageFailed(str(error))


def _relative(folder: Path) -> str:
    """Relative to the working directory where it lies inside, for paths that people read and move."""
    with suppress(ValueError):
        return str(folder.resolve().relative_to(Path.cwd()))
    return str(folder)


def _load_dotenv() -> None:
    if Path(".env").is_file():
        from dotenv import load_dotenv

        load_dotenv(Path(".env"))


def _terminate(*_: Any) -> None:
    raise Terminated


def _say(message: object, status: int) -> int:
    """Prints to standard error, without Rich: importing it takes a tenth of the second that a mistake may cost."""
    color = "\033[33m" if status in (130, 143) else "\033[31m"
    print(f"{color}{message}\033[0m" if sys.stderr.isatty() else message, file=sys.stderr)
    return status
