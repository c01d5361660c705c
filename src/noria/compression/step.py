"""One method of making an artifact smaller: an artifact in, a folder with another one out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded import Encoded

Rows = Callable[[], Encoded]
"""Gives the examples of the artifact's training data, once a method needs any."""


class Step(ABC):
    """A method with its settings, as a plain object that the config builds.

    The class attributes are literals: the check of a config reads them from the source, without an import.

    Attributes:
        ends: what it makes can neither be trained nor cut any more, so that nothing comes after it.
        reads: what it takes: `whole texts`, that is what reads them; `decoder`; or `any` artifact.
        leaves_zeros: it sets weights to zero, and training afterwards has to leave them so.
        rounds: how often it is applied, each time more strongly.
        recover_epochs: how long what it made is trained after each round.
    """

    ends: ClassVar[bool] = False
    reads: ClassVar[str] = "any"
    leaves_zeros: ClassVar[bool] = False
    rounds: int = 1
    recover_epochs: int = 0

    @abstractmethod
    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        """Writes what it makes of the artifact to a folder, in one move.

        Args:
            artifact: opened, in fp32; its network may be changed in place.
            number: of the round, from 1 on.

        Returns:
            What it did, as plain values for the record.

        Raises:
            UserError: it cannot be done to this artifact.
        """
