"""Puts a finished folder in the place of another, so that a kill at any moment leaves one of the two, whole."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2


def replace_folder(new: Path, place: Path) -> None:
    """Moves a folder to a place; what is there is gone afterwards.

    Linux exchanges two folders in one step. Where the system or the file system cannot (NFS, macOS), the old folder
    is called `<place>.old` between two moves: a kill just then leaves it there, and the next call brings it back.
    """
    aside = place.with_name(f"{place.name}.old")
    if not place.exists():
        if aside.exists():  # a kill has left it
            os.replace(aside, place)
        else:
            os.replace(new, place)
            return
    if _exchanged(new, place):
        shutil.rmtree(new, ignore_errors=True)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(place, aside)
        os.replace(new, place)
    shutil.rmtree(aside, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc has it since 2.28, musl since 1.2.5
    return rename is not None and not rename(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE)
