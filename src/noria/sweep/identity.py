"""What makes two trials the same: the config that matters, the data's content, the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from noria.common.errors import UserError
from noria.common.paths import PACKAGE_PREFIX, packaged
from noria.config.hashing import what_matters
from noria.config.source import Definition, find

LENGTH = 12  # hexadecimal digits


def trial_key(config: Mapping[str, Any]) -> str:
    """12 hexadecimal digits that two trials share if they compute the same from the same data with the same code.

    Args:
        config: resolved. Paths, loggers and callbacks that only watch do not count, nor the value of a key that
            changes no result (`noria.config.hashing.DOES_NOT_MATTER`).
    """
    facts: dict[str, Any] = {"config": what_matters(dict(config))}
    if not _trains(config):  # then what is opened and read is all that there is
        facts["stage"] = [config.get(name) for name in ("stage", "artifact", "input")]
    facts["content"] = dict(_contents(config))
    facts["code"] = code_version(frozenset(_targets(config)))
    text = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


@cache
def code_version(targets: frozenset[str] = frozenset()) -> str:
    """A hash of Noria's own source files, and of those that the components named in the config lie in."""
    package = Path(__file__).resolve().parents[1]
    files = set(package.rglob("*.py"))
    for target in targets:
        if isinstance(found := find(target), Definition):
            files.add(found.module.file.resolve())
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _trains(config: Mapping[str, Any]) -> bool:
    return str((config.get("stage") or {}).get("_target_")) == "noria.stage.fit.fit"


def _targets(value: Any) -> Iterator[str]:
    """The components of others: Noria's are in its own source, and those of installed libraries have versions."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "_target_" and isinstance(item, str) and item.partition(".")[0] not in ("noria", "lightning"):
                yield item
            else:
                yield from _targets(item)
    elif isinstance(value, list):
        for item in value:
            yield from _targets(item)


def _contents(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What lies at each path that the data and the model name."""
    for group in ("data", "model"):
        for text in _texts(config.get(group)):
            path = _place(text)
            if path is not None:
                yield text, _content(str(path), path.stat().st_mtime_ns)


def _place(text: str) -> Path | None:
    try:
        path = packaged(text.removeprefix(PACKAGE_PREFIX)) if text.startswith(PACKAGE_PREFIX) else Path(text)
        return path if path.exists() and (path.is_absolute() or path.is_file() or "/" in text) else None
    except (UserError, OSError, ValueError):  # no path, or one that the run will have its say on
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


@cache
def _content(path: str, modified: int) -> str:
    """sha256 of a file, or of all files in a folder; once for each file and time of change."""
    place = Path(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]:
        digest.update(f"{file.relative_to(place)}\0".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
