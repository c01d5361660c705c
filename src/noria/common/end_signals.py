"""The signals that tell a process to end: SIGTERM, and SIGHUP where its terminal closes. Knows nothing of what runs."""

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

END_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
Handlers = dict[signal.Signals, Any]

_came = False


def handle_end_signals(handler: Callable[[int, FrameType | None], None] | None = None) -> Handlers:
    """Lets the signals raise `Terminated`, or call a handler; gives what handled them before, for `restore_signals`.

    SIGHUP stays ignored where it is (nohup).
    """
    if handler is None:
        global _came
        _came, handler = False, _raise_terminated
    taken = [one for one in END_SIGNALS if one != signal.SIGHUP or signal.getsignal(one) != signal.SIG_IGN]
    return {one: signal.signal(one, handler) for one in taken}


def restore_signals(before: Handlers) -> None:
    """Gives the signals back to what handled them before."""
    for number, handler in before.items():
        signal.signal(number, handler)


def ignore_end_signals() -> None:
    """For the last moments of a process, whose exit status is known."""
    for number in END_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def children_without_signals() -> Iterator[None]:
    """Processes and threads that are started within receive neither Ctrl-C nor a signal to end: this process does.

    A terminal and a service manager send their signal to all processes at once. One that comes meanwhile is handled
    afterwards.
    """
    from multiprocessing import resource_tracker  # slow to import, and rarely needed

    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))  # which the tracker would die of
    resource_tracker.ensure_running()  # where it starts by itself, later, it unblocks the others
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, *END_SIGNALS))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_first(number: int) -> bool:
    """Takes note of a signal to end; whether it is the first that has come.

    They come in twos: `timeout` signals its child and then its group, a shell and the system both hang up, a service
    manager sends SIGTERM and SIGHUP. The second must not break the ending that the first has begun.
    """
    global _came
    first, _came = not _came, True
    if number == signal.SIGHUP:
        _let_go_of_the_terminal()
    return first


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    if is_first(number):
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
