"""The one exception that means "the user can mend this". Knows nothing of where the mistake was made."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class UserError(Exception):
    """A user's mistake: the message says what is wrong, where, and what would be right.

    `cli` prints the message without a traceback and exits with status 2.
    """


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option that `name` most likely meant, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(options), n=1, cutoff=0.5)
    return matches[0] if matches else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """A sentence for the end of a message: the nearest name, or else all of them."""
    choices = sorted(options)
    match = nearest(name, choices)
    if match:
        return f"Did you mean '{match}'?"
    return f"There are: {', '.join(choices)}." if choices else ""


class RunError(Exception):
    """A run that could not go on, for a reason that is understood: `cli` prints it bare, with status 1."""


class Terminated(BaseException):
    """The process was told to end. Not an Exception, so that nothing on the way takes it for a failure.

    Args:
        number: the signal that told it, SIGTERM or SIGHUP.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.status = 128 + number  # of the exit, as a shell has it


class Pruned(Exception):
    """A search gave this run up, for others were better at that point. No failure: the run ends as `pruned`."""
