"""The processes that a server starts: deaf to Ctrl-C and SIGTERM, and gone when the server is gone.

Knows nothing of what they do.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from noria.common.process import die_with_parent

HEARD = (signal.SIGINT, signal.SIGTERM)
_binding = False


@contextmanager
def starting() -> Iterator[None]:
    """Processes and threads that are started within hear neither signal, and forked ones die with this process.

    A terminal and a service manager send their signal to all processes at once: those that the server is made of
    must live until it has answered what it has accepted. A signal that comes meanwhile is heard afterwards.
    """
    global _binding
    resource_tracker.ensure_running()  # it unblocks both signals when it starts by itself, later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    _binding = True
    try:
        yield
    finally:
        _binding = False
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _after_fork() -> None:
    if _binding:
        die_with_parent()


os.register_at_fork(after_in_child=_after_fork)  # multiprocessing has no other way into a manager's process
