"""Rules on files and folders that must be there. They look whether, never what is inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.common.errors import UserError, nearest
from noria.common.hardware import Machine
from noria.common.names import ARTIFACT_FILE, CHAMPION, LAST_CHECKPOINT
from noria.common.paths import PACKAGE_PREFIX, packaged
from noria.config.rules.facts import at, attributes, stage, trains
from noria.config.rules.registry import rule

STANDARD_INPUT = "-"
# their `path` may also be a name on the hub
NAMED_NOT_STORED = ("noria.data.source.hub.HubData", "noria.data.source.hub_parallel.HubParallelData")


@rule
def artifact_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`artifact=` names no folder with a `noria.yaml`; for `stage=serve` it may name a registry with a champion."""
    given = config.get("artifact")
    if not isinstance(given, str):
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        return f"artifact={given}: there is no such folder.{_close_by(folder)}"
    if (folder / CHAMPION).is_symlink():
        is_served = stage(config) == "serve"
        return None if is_served else f"artifact={given} is a registry: its champion is artifact={folder / CHAMPION}."
    if stage(config) == "serve" and (folder / "versions").is_dir():
        return f"artifact={given} is a registry without a champion: one of its versions must be promoted first."
    if not (folder / ARTIFACT_FILE).is_file():
        inner = folder / "artifact"
        way = (
            f"Did you mean artifact={inner}?"
            if (inner / ARTIFACT_FILE).is_file()
            else "A fit leaves one in <run>/artifact."
        )
        return f"artifact={given} holds no {ARTIFACT_FILE}, so it is no artifact. {way}"
    return None


@rule
def resume_from_what_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`resume=` names no run folder with `checkpoints/last.ckpt` (`auto` looks for one itself); one of `compress` needs
    none."""
    given = config.get("resume")
    if not isinstance(given, str) or given == "auto" or stage(config) == "compress":
        return None
    folder = Path(given).expanduser()
    if folder.is_file():
        return f"resume={given} is a file: name the run's folder, not the checkpoint in it."
    if not folder.is_dir():
        return f"resume={given}: there is no such folder.{_close_by(folder)}"
    if not (folder / LAST_CHECKPOINT).is_file():
        return f"resume={given} holds no {LAST_CHECKPOINT}: nothing to go on from. resume=auto finds a run."
    return None


@rule
def run_files_elsewhere(config: dict[str, Any], machine: Machine) -> str | None:
    """`callback.checkpoint.directory` or `logger.csv.path` outside the run's folder: runs would share files."""
    run_dir = at(config, "paths.run_dir")
    if not trains(config) or not isinstance(run_dir, str):
        return None
    home = Path(run_dir).expanduser().resolve()
    for key, name in (("callback", "directory"), ("logger", "path")):
        for entry, component in (config.get(key) or {}).items():
            given = component.get(name) if isinstance(component, dict) else None
            if not isinstance(given, str) or not str(component.get("_target_")).startswith("noria."):
                continue
            if not Path(given).expanduser().resolve().is_relative_to(home):
                return (
                    f"{key}.{entry}.{name}={given} lies outside the run's folder ({run_dir}): other runs would write "
                    "to the same files, and resume= does not look there. Leave it out; paths.runs=<folder> moves "
                    "whole runs."
                )
    return None


@rule
def input_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`input=` of `stage=predict` names no file (`-` is standard input)."""
    given = config.get("input")
    if stage(config) != "predict" or not isinstance(given, str) or given == STANDARD_INPUT:
        return None
    path = Path(given).expanduser()
    if path.is_dir():
        return f"input={given} is a folder: name a file, or - for standard input."
    return None if path.exists() else f"input={given}: there is no such file.{_close_by(path)}"


@rule
def data_that_is_not_there(config: dict[str, Any], machine: Machine) -> str | None:
    """`data.path`, `data.val_path` or `data.test_path` of Noria's own data names no file or folder."""
    target = at(config, "data._target_")
    is_ours = isinstance(target, str) and target.startswith("noria.") and target not in NAMED_NOT_STORED
    if not is_ours or not (trains(config) or stage(config) in ("compress", "evaluate")):
        return None
    keys = [key for key in ("data.path", "data.val_path", "data.test_path") if isinstance(at(config, key), str)]
    ends = attributes(config.get("data")).get("ends")
    suffixes = [f".{at(config, f'data.{key}')}" for key in ends] if isinstance(ends, tuple) else []
    found = (_missing_data(key, at(config, key), suffixes) for key in keys)
    return next((message for message in found if message), None)


def _missing_data(key: str, given: str, suffixes: list[str]) -> str | None:
    """What is said of a path that is not there, nor any file that it begins and one of the suffixes ends."""
    if given.startswith(PACKAGE_PREFIX):
        try:
            packaged(given.removeprefix(PACKAGE_PREFIX))
        except UserError as error:
            return f"{key}={given}: {error}"
        return None
    path = Path(given).expanduser()
    if "://" in given or path.exists():
        return None
    if any(entry.name.startswith(f"{path.name}{suffix}") for suffix in suffixes for entry in _beside(path)):
        return None
    place = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
    return f"{key}={given}: there is no such file or folder{place}.{_close_by(path)}"


def _beside(path: Path) -> list[Path]:
    """What lies in the same folder."""
    try:
        return list(path.parent.iterdir())
    except OSError:  # no such folder either, or not ours to read
        return []


def _close_by(path: Path) -> str:
    """The name beside it that was probably meant."""
    match = nearest(path.name, [entry.name for entry in _beside(path)])
    return f" Did you mean {path.parent / match}?" if match else ""
