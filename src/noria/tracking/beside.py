"""What is beside a run's result: where it fails, that is said and noted, and the run goes on. Knows no record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_notes: list[str] = []  # of the run of this process


@contextmanager
def beside(what: str) -> Iterator[None]:
    """Does what nobody's result depends on: a table in W&B, a sample, a picture. No error leaves it.

    Also a decorator.

    Args:
        what: is done, as the start of a sentence: "W&B's tables".
    """
    try:
        yield
    except Exception as error:  # whatever it is, the run is worth more
        said = f"{what} failed ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        log.warning("%s. The run itself is not touched by it.", said)
        _notes.append(said)


def take_notes() -> list[str]:
    """What has failed since the last call, for the record."""
    found = list(_notes)
    _notes.clear()
    return found
