"""Keeps the model that answers the champion: looks, loads, warms up, swaps. Knows nothing of requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from noria.common.errors import UserError
from noria.serving.model import Description, Model
from noria.serving.source import Named, Source

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taken:
    """A version answers from now on."""

    worker: int
    named: Named
    description: Description


@dataclass(frozen=True)
class Refused:
    """A version was not taken; the one before goes on."""

    worker: int
    version: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """No version could be opened: there is nothing to serve."""

    worker: int
    reason: str


Event = Taken | Refused | Failed


class Follower:
    """Holds the model that answers. `model` is read once for each batch: a swap falls between two batches.

    Args:
        load: opens and warms up a version; whatever it raises is why the version is not taken.
        tell: is given each event.
    """

    def __init__(self, source: Source, load: Callable[[Named], Model], tell: Callable[[Event], None], worker: int = 0):
        self._source = source
        self._load = load
        self._tell = tell
        self._worker = worker
        self._refused: str | None = None
        self.model: Model

    def begin(self, fallback: Named | None) -> bool:
        """Takes the first model; False where none could be opened, which has been reported.

        Args:
            fallback: what answered before, for a champion that is no good.
        """
        version = "the champion"
        try:
            named = self._source.current()
            version = named.version
            self._take(self._load(named))
        except Exception as error:
            if fallback is None:
                self._tell(Failed(self._worker, reason(error)))
                return False
            self._refuse(version, reason(error))
            self._take(self._load(fallback))
        return True

    def look(self) -> None:
        """Takes a new champion if there is one and it is good."""
        version = "the champion"
        try:
            named = self._source.current()
            version = named.version
            if named.version in (self.model.named.version, self._refused):
                return
            self._take(self._load(named))
        except Exception as error:  # a version that is no good must not end this thread
            if version != self._refused:
                self._refuse(version, reason(error))

    def follow(self, seconds: float) -> None:
        """Looks again and again, in a thread of its own."""
        wait = threading.Event()

        def go_on() -> None:
            while not wait.wait(seconds):
                self.look()

        threading.Thread(target=go_on, name="follower", daemon=True).start()

    def _take(self, model: Model) -> None:
        self.model = model
        self._refused = None
        self._tell(Taken(self._worker, model.named, model.description))

    def _refuse(self, version: str, said: str) -> None:
        self._refused = version
        self._tell(Refused(self._worker, version, said))


def reason(error: Exception) -> str:
    """One line for people."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}"
