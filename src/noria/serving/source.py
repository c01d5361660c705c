"""Where the version to serve comes from: one artifact, or the champion of a registry. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noria.common.errors import UserError
from noria.feedback.text import storable
from noria.registry.registry import Registry, is_registry


@dataclass(frozen=True)
class Named:
    """A version's name and the folder that is its artifact."""

    version: str
    folder: Path


class Source:
    """What `artifact=` names.

    Args:
        folder: of an artifact or of a registry.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.follows = is_registry(folder)

    def current(self) -> Named:
        """The version that is to be served now.

        Raises:
            UserError: the registry has no champion, or its pointer names no version.
        """
        if not self.follows:
            return Named(_name(self.folder), self.folder)
        champion = Registry(self.folder).champion()
        if champion is None:
            raise UserError(f"{self.folder} has no champion.")
        return Named(champion.name, champion.folder)


def _name(folder: Path) -> str:
    """A run's artifact bears the name of the run."""
    resolved = folder.resolve()
    return storable(resolved.parent.name if resolved.name == "artifact" else resolved.name)
