"""What tells a process to end: SIGTERM, and SIGHUP where its terminal or session goes. Knows nothing of what runs."""

from __future__ import annotations

import errno
import os
import signal
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from noria.common.errors import Terminated

NOTICES = (signal.SIGTERM, signal.SIGHUP)
Handlers = dict[signal.Signals, Any]

_noted = False


def hear_notices(handler: Callable[[int, FrameType | None], None] | None = None) -> Handlers:
    """Lets the notices raise `Terminated`, or call a handler; what handled them before, for `forget_notices`.

    SIGHUP stays ignored where it is (nohup).
    """
    if handler is None:
        global _noted
        _noted, handler = False, _heed
    heard = [notice for notice in NOTICES if notice != signal.SIGHUP or signal.getsignal(notice) != signal.SIG_IGN]
    return {notice: signal.signal(notice, handler) for notice in heard}


def forget_notices(before: Handlers) -> None:
    """Gives the notices back to who handled them before."""
    for notice, handler in before.items():
        signal.signal(notice, handler)


def ignore_notices() -> None:
    """For the last moments of a process, whose exit status is known."""
    for notice in NOTICES:
        signal.signal(notice, signal.SIG_IGN)


@contextmanager
def deaf_processes() -> Iterator[None]:
    """Processes and threads that are started within hear neither Ctrl-C nor a notice, which are for this process.

    A terminal and a service manager send their signal to all processes at once. One that comes meanwhile is heard
    afterwards.
    """
    from multiprocessing import resource_tracker  # slow to import, and rarely needed

    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))  # which the tracker would die of
    resource_tracker.ensure_running()  # where it starts by itself, later, it unblocks the others
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *NOTICES))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def note(number: int) -> bool:
    """Notes that a notice has come; whether it is the first.

    They come in twos: `timeout` signals its child and then its group, a shell and the system both hang up, a service
    manager sends SIGTERM and SIGHUP. The second must not break the ending that the first has begun.
    """
    global _noted
    first, _noted = not _noted, True
    if number == signal.SIGHUP:
        _let_go_of_the_terminal()
    return first


def _heed(number: int, frame: FrameType | None) -> None:
    if note(number):
        raise Terminated(number)


def _let_go_of_the_terminal() -> None:
    """What is printed goes nowhere where the terminal is gone: writing to it would fail the run that is ending."""
    for descriptor in (0, 1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, descriptor)
                os.close(null)
