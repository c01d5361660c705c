"""Where answers go: JSON lines on standard output or in a file, which is never written over unasked. Knows no model."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import math
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from noria.common.errors import UserError

NO_LOCKS = (
    errno.ENOLCK,
    errno.ENOTSUP,
    errno.EINVAL,
)  # of file systems without locks, and of what is not a file
UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029]")


class Output:
    """Takes rows as JSON lines; what has been written stays, however the work ends.

    Args:
        path: a file; None: standard output.
        source: the input, which is not to be written over.
        overwrite: a file that holds something already is emptied when the first row comes.

    Raises:
        UserError: the file holds something already, is the input or another command's output, or cannot be written.
    """

    def __init__(self, path: str | None, source: str, overwrite: bool = False) -> None:
        self._path = None if path is None else Path(path).expanduser()
        self._is_new = self._path is not None and not self._path.exists()
        self._empty_first = False
        self._file: TextIO = sys.stdout
        self.rows = 0
        if self._path is None:
            return
        if (
            self._path.exists()
            and Path(source).expanduser().exists()
            and self._path.samefile(Path(source).expanduser())
        ):
            raise UserError(f"stage.output={path} is the input itself: name another file.")
        try:
            self._file = self._path.open("a", encoding="utf-8")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"stage.output={path} is being written by another command: name another file.") from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise UserError(f"stage.output={path} cannot be written: {error.strerror}.") from error
        self._empty_first = self._path.is_file() and self._path.stat().st_size > 0
        if self._empty_first and not overwrite:
            self._file.close()
            raise UserError(
                f"stage.output={path} is there already, and answers that it may hold are kept. Name another file; "
                "stage.overwrite=true writes it anew."
            )

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is None:
            return
        if kind is None:
            self._start()
        self._file.close()
        if kind is not None and self._is_new and not self.rows:
            self._path.unlink(missing_ok=True)

    def write(self, row: dict[str, Any]) -> None:
        """One row, as a line of JSON."""
        self._start()
        self._file.write(line_of(row) + "\n")
        self.rows += 1

    def flush(self) -> None:
        """Gives what was written to the file or the terminal."""
        self._file.flush()

    def _start(self) -> None:
        if self._empty_first:
            self._file.truncate(0)
            self._empty_first = False


def line_of(row: dict[str, Any]) -> str:
    """A row as one line of strict JSON, whatever its cells are.

    NaN and infinite numbers become null, as JSON has none. Dates and times are written as ISO 8601, durations as
    seconds, decimal numbers as text, bytes as text or else as base64. A line with half of a surrogate pair in it is
    written in ASCII. Signs that some programs take for the end of a line, or a terminal for a command, are escaped.
    """
    try:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        line = json.dumps(_finite(row), ensure_ascii=False, default=lambda value: _finite(_plain(value)))
    with suppress(UnicodeEncodeError):
        line.encode()
        return UNSEEN.sub(lambda sign: f"\\u{ord(sign[0]):04x}", line)
    return json.dumps(json.loads(line))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """What JSON has no form for, in one that it has."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return base64.b64encode(value).decode()
    return list(value) if isinstance(value, Iterable) else str(value)
