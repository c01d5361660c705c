"""What makes two trials the same: the config that matters, the content of the files it names, the code."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from noria.common.errors import RunError, UserError
from noria.common.paths import PACKAGE_PREFIX, packaged
from noria.config.hashing import left_out, what_matters
from noria.config.own_code import own_modules

LENGTH = 12  # hexadecimal digits
CHANGED = "has been edited since this trial was asked for. The same command again runs it as it is now."
SQLITE = re.compile(r"sqlite(?:\+\w+)?:///")
FOLDER_KEY = re.compile(r"(path|dir|directory|folder|root)$")
# Groups whose files and folders are written to, as each trial does: what lies there is a result, and decides none.
WRITING = ("callback", "logger", "trainer")
BESIDE = ("__pycache__",)  # made by Python in whatever folder it reads code from


def trial_key(config: Mapping[str, Any], varied: Iterable[str] = ()) -> str:
    """12 hexadecimal digits that two trials share if they compute the same from the same data with the same code.

    Args:
        config: resolved. Paths, loggers and callbacks that only watch do not count, nor the value of a key that
            changes no result (`noria.config.hashing.DOES_NOT_MATTER`), unless it is varied.
        varied: dotted keys whose values the command sweeps over: whoever asks for two gets two trials.
    """
    config = dict(config)
    facts: dict[str, Any] = {"config": what_matters(config)}
    if not _trains(config):  # then what is opened and read is all that there is
        facts["stage"] = {name: config.get(name) for name in ("stage", "artifact", "input")}
    runs = str((config.get("paths") or {}).get("runs") or "")
    read = {"config": {name: part for name, part in facts["config"].items() if name not in WRITING}}
    texts = _texts(facts | read)
    content = {text: found for key, text in texts if (found := _content(key, text, runs)) is not None}
    facts |= {"content": content, "code": code_version(config)}
    if asked := {name: value for key in varied for name, value in left_out(config, key).items()}:
        facts["varied"] = asked
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@cache
def noria_version() -> str:
    """A hash of Noria's own source, as it was when this process first asked."""
    package = Path(__file__).resolve().parents[1]
    return _digest((str(file.relative_to(package)), file) for file in package.rglob("*.py"))


def code_version(config: Mapping[str, Any]) -> str:
    """A hash of Noria's source and of the user's own behind the components that a config names, as it is now.

    Whoever asks for both asks for this before the key: a component that is edited in between is then noticed.
    """
    return _digest(own_sources(config).items()) + noria_version()


def own_sources(config: Mapping[str, Any]) -> dict[str, Path]:
    """The user's own modules that a config leads to, by dotted name."""
    return own_modules(_dotted(config))


_loaded: dict[str, str] = {}  # own modules that this process has imported, and the hash of what they were then


def load_code(config: Mapping[str, Any]) -> str:
    """Imports the user's own components that a config names; the version of what this process has now loaded.

    Raises:
        RunError: the process had imported one of them before, and its file has been edited since.
    """
    sources = own_sources(config)
    for name in _dotted(config):
        within = [module for module in sources if f"{name}.".startswith(f"{module}.")]
        if within:
            with suppress(Exception):  # whoever makes the component says it better
                importlib.import_module(max(within, key=len))
    for name, file in sources.items():
        now = _digest([(name, file)])
        if _loaded.setdefault(name, now) != now:
            raise RunError(f"{file} {CHANGED}")
    return code_version(config)


def _trains(config: Mapping[str, Any]) -> bool:
    return str((config.get("stage") or {}).get("_target_")) == "noria.stage.fit.fit"


def _dotted(config: Mapping[str, Any]) -> list[str]:
    """The texts of a config that may be the dotted path of a class or function."""
    texts = (text for _, text in _texts(config))
    return [text for text in texts if "." in text and text.replace(".", "_").isidentifier()]


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a config, with the name of its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, key)


def _content(key: str, text: str, runs: str) -> str | None:
    """What lies at the file or folder that a text names; None for a text that names none.

    The folder that the command is typed in leaves out the runs and what is hidden: it changes with every command.
    """
    try:
        place = _place(key, text)
        if place is None or place.is_file():
            return None if place is None else _digest([("", place), *_log_of_a_database(place)])
        if place.is_dir():
            return _digest((str(file.relative_to(place)), file) for file in _files(place, runs))
    except (UserError, OSError, ValueError, RuntimeError):  # no path, or one that the run will have its say on
        pass
    return None


def _place(key: str, text: str) -> Path | None:
    if text.startswith(PACKAGE_PREFIX):
        return packaged(text.removeprefix(PACKAGE_PREFIX))
    path = SQLITE.sub("", text)
    if not re.search(r"\w", path) and not FOLDER_KEY.search(key):
        return None  # a separator such as / or .
    return Path(path).expanduser()


def _log_of_a_database(file: Path) -> list[tuple[str, Path]]:
    """What SQLite has written last and not yet moved into its file."""
    log = file.with_name(f"{file.name}-wal")
    return [("-wal", log)] if log.is_file() else []


def _files(folder: Path, runs: str) -> Iterator[Path]:
    around = Path.cwd().is_relative_to(folder.resolve())
    kept_out = Path(runs).resolve() if runs else None
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = [
            name
            for name in folders
            if name not in BESIDE and not (around and (name.startswith(".") or (here / name).resolve() == kept_out))
        ]
        yield from (here / name for name in names if (here / name).is_file())


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    """A hash of files with their names."""
    digest = hashlib.sha256()
    for name, file in sorted(files):
        found = file.stat()
        content = _file_hash(str(file), found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


@cache
def _file_hash(path: str, size: int, modified: int, changed: int) -> str:
    """sha256 of a file; read again when it has been written to. One that may not be read is known by these facts."""
    try:
        with open(path, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except PermissionError:
        return f"{size} {modified}"
