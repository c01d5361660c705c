"""The processes that a server starts: they ignore Ctrl-C, SIGTERM and SIGHUP, and end when the server ends.

Knows nothing of what they do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from noria.common.end_signals import children_without_signals
from noria.common.process import die_with_parent

_binding = False


@contextmanager
def starting() -> Iterator[None]:
    """Processes and threads that are started within hear none of these signals, and forked ones die with this process.

    A terminal and a service manager send their signal to all processes at once: those that the server is made of
    must live until it has answered what it has accepted. A signal that comes meanwhile is heard afterwards.
    """
    global _binding
    with children_without_signals():
        _binding = True
        try:
            yield
        finally:
            _binding = False


def _after_fork() -> None:
    if _binding:
        die_with_parent()


os.register_at_fork(after_in_child=_after_fork)  # multiprocessing has no other way into a manager's process
