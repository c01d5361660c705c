"""How the C library gives memory back. Knows nothing of what is stored there."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

# of glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 1 << 30  # bytes; a larger block is given back at once, as before


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep the memory that it frees; says whether it could (only glibc can be told).

    By itself glibc gives every freed block above 32 MB back to the system, such as the gradient of an embedding in
    every step, and the system zeroes each page again at its next use: half a million page faults in 32 steps of a
    MiniLM, and 7 % of their time. The most memory that is ever held stays the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGEST) and libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def give_back_freed_memory() -> None:
    """Gives the system what was freed and is kept, once a phase that wanted it again and again is over."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
