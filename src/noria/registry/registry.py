"""Versions of a model in a folder, and one pointer to the champion that is always whole.

    <registry>/versions/0001/…      an artifact, and version.json: where it comes from, what was measured
    <registry>/champion             a link to one of them, replaced in one move
    <registry>/history.jsonl        each change of the champion, one line

Knows nothing of how a version was made or judged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from noria.common.names import CHAMPION
from noria.common.errors import UserError

VERSIONS, HISTORY, FACTS, LOCK = "versions", "history.jsonl", "version.json", ".lock"


@dataclass(frozen=True)
class Version:
    """One version: its name such as `0003`, the folder that is its artifact, and what was written down of it."""

    name: str
    folder: Path
    facts: dict[str, Any]


class Registry:
    """The versions under a folder.

    What is being added lies in a folder whose name begins with a dot until it is whole: a process that is killed
    leaves the versions and the champion as they were.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by the one process that changes the registry; it ends with the process.

        Raises:
            UserError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.folder} is being changed by another process: wait until it has ended.") from None
        try:
            yield
        finally:
            lock.release()

    def versions(self) -> list[Version]:
        """All versions, the oldest first."""
        folders = sorted(path.parent for path in (self.folder / VERSIONS).glob(f"[0-9]*/{FACTS}"))
        return [self._version(folder) for folder in folders]

    def champion(self) -> Version | None:
        """The version that the pointer names; None where there is none yet.

        Raises:
            UserError: the pointer names no version.
        """
        name = self._pointed()
        if name is None:
            return None
        folder = self.folder / VERSIONS / name
        if not (folder / FACTS).is_file():
            raise UserError(
                f"{self.folder / CHAMPION} points to {folder}, which is no version. stage.action=rollback takes another."
            )
        return self._version(folder)

    def add(self, artifact: Path, facts: Mapping[str, Any]) -> Version:
        """Copies an artifact in as the next version, whole or not at all."""
        home = self.folder / VERSIONS
        home.mkdir(parents=True, exist_ok=True)
        numbers = [int(path.name) for path in home.iterdir() if path.name.isdecimal()]
        name = f"{max(numbers, default=0) + 1:04}"
        for half in home.glob(".*"):  # a kill has left it
            shutil.rmtree(half, ignore_errors=True)
        coming = home / f".{name}.{os.getpid()}"
        shutil.copytree(artifact, coming)
        _write(coming / FACTS, {"version": name, "added": _now(), **facts})
        for path in (*coming.rglob("*"), coming):  # to the disk, before its name says that it is whole
            _sync(path)
        os.rename(coming, home / name)
        _sync(home)
        return self._version(home / name)

    def promote(self, version: Version, reason: str) -> None:
        """Makes a version the champion, in one move."""
        before = self._pointed()
        for link in self.folder.glob(f".{CHAMPION}.*"):  # a kill has left it
            link.unlink()
        new = self.folder / f".{CHAMPION}.{os.getpid()}"
        new.symlink_to(Path(VERSIONS) / version.name, target_is_directory=True)
        os.replace(new, self.folder / CHAMPION)
        _sync(self.folder)
        line = {"at": _now(), "champion": version.name, "before": before, "reason": reason}
        with (self.folder / HISTORY).open("a+b") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            half = file.read(1) not in (b"", b"\n")  # a kill has left it
            file.write((("\n" if half else "") + json.dumps(line, ensure_ascii=False) + "\n").encode())

    def history(self) -> list[dict[str, Any]]:
        """Each change of the champion, the oldest first; half a line that a kill has left is passed over.

        Where a kill came between a change and its line, the line after it names that champion as the one before.
        """
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        found = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
        return found

    def champions(self) -> list[str]:
        """The names on the way to the champion, which is the last: what was rolled back stands there no more."""
        said = [name for line in self.history() for name in (line["before"], line["champion"])]
        way: list[str] = []
        for name in filter(None, (*said, self._pointed())):
            way = way[: way.index(name)] if name in way else way
            way.append(name)
        return way

    def rollback(self, reason: str) -> Version:
        """Makes the champion before this one the champion again.

        Raises:
            UserError: there was none.
        """
        versions = {version.name: version for version in self.versions()}
        earlier = [name for name in self.champions()[:-1] if name in versions]
        if not earlier:
            raise UserError(f"{self.folder} has no earlier champion to go back to.")
        self.promote(versions[earlier[-1]], reason)
        return versions[earlier[-1]]

    def _pointed(self) -> str | None:
        """The name that the pointer names, be it a version or not."""
        link = self.folder / CHAMPION
        return Path(os.readlink(link)).name if link.is_symlink() else None

    def _version(self, folder: Path) -> Version:
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{folder / FACTS} cannot be read: {error}") from error
        return Version(folder.name, folder, facts)


def is_registry(folder: Path) -> bool:
    """Whether a folder is a registry with a champion."""
    return (folder / CHAMPION).is_symlink()


def _write(path: Path, data: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    """A file's content, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
