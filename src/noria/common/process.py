"""Processes that must not outlive the one that started them, where they keep the sockets between them, and the memory
of one."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
import tempfile
from pathlib import Path

from noria.common.errors import UserError

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Lets the system kill this process when the one that started it ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def peak_memory() -> int:
    """Bytes that this process has held in memory at most."""
    try:  # of this program alone: what `getrusage` says begins with the memory of the process that started it
        text = Path("/proc/self/status").read_text()
        return int(re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE)[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


SOCKET = "/pymp-12345678/listener-12345678"  # what multiprocessing adds to the folder for temporary files
LONGEST = 100  # bytes of a Unix socket's path that every system takes (Linux 107, macOS 103)
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def keep_sockets_short() -> None:
    """Lets multiprocessing keep its sockets in a folder whose name is short enough for one.

    They lie in the folder for temporary files. Where `TMPDIR` is long, no process could be started by the sweep's
    server, and a data worker could not hand over its batches: it fails in a thread, and training waits for ever.

    Raises:
        UserError: TMPDIR is too long, and there is no short folder that can be written to.
    """
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder + SOCKET)) <= LONGEST:
        return
    short = next((place for place in SHORT if os.access(place, os.W_OK | os.X_OK)), None)
    if short is None:
        raise UserError(
            f"TMPDIR={folder} is too long: a socket's path may have {LONGEST} bytes, so the folder at most "
            f"{LONGEST - len(SOCKET)}, and none of {', '.join(SHORT)} can be written to. Set TMPDIR to a shorter one."
        )
    from multiprocessing import util  # slow to import, and rarely needed

    before, tempfile.tempdir = tempfile.tempdir, short
    try:
        util.get_temp_dir()  # made once for this process and all that it starts, and removed at its end
    finally:
        tempfile.tempdir = before
