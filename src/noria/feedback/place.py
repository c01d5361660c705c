"""Whether a SQLite database is still the file that was opened.

A file that is deleted, moved or replaced stays open: SQLite goes on writing into it without an error, and what was said
to be kept is gone when the process ends (sqlite.org/howtocorrupt.html, section 4).
"""

from __future__ import annotations

import os
from pathlib import Path

from noria.feedback.records import StoreDown

BESIDE = ("-wal", "-shm")  # what SQLite keeps beside the file while it is open; the newest rows stand in the first

Identity = tuple[int, int]


class Place:
    """The file of a database that has just been opened, and those beside it once there was a write.

    For one writer at a time.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _identity(path)
        self._real = os.path.realpath(path)  # beside this one SQLite keeps the others, where `path` is a link
        self._beside: tuple[Identity | None, ...] | None = None

    def check_file(self) -> None:
        """Raises StoreDown unless the file that was opened stands at its path."""
        if self._file is None or _identity(self._path) != self._file:
            raise StoreDown(
                f"The feedback store {self._path} is not there any more: the file was deleted, moved or replaced while "
                "it was open, and nothing is kept. Put it back; to go on with another one, start anew."
            )

    def check_written(self) -> None:
        """After a transaction.

        Raises:
            StoreDown: as `check_file`; or a file beside it is not that of the write before. The connections have to be
                closed, which brings what they hold into the file; with new ones the next write may do.
        """
        self.check_file()
        found = tuple(_identity(self._real + ending) for ending in BESIDE)
        before, self._beside = self._beside, found
        if None in found or before not in (None, found):
            self._beside = None
            raise StoreDown(
                f"What SQLite keeps beside {self._real} ({' and '.join(BESIDE)}) was deleted while it was open: leave "
                "these files alone. The last write is not sure to be kept."
            )


def _identity(path: str) -> Identity | None:
    """The identity of a file, whatever its name; None where there is no file."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
