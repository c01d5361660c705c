"""Opens files: named by their ending, unpacked where they are packed, as UTF-8 text without a byte order mark.

Knows no format. Every stage opens its files here.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from noria.common.errors import UserError, nearest

PACKED = (".gz", ".bz2", ".zst")
BUFFER = 1 << 20  # bytes that are decoded at a time


def find(path: str | Path) -> Path:
    """The file of this name.

    Raises:
        UserError: it is a folder, or there is none; the nearest name beside it is proposed.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise UserError(f"'{path}' is a folder: name a file in it.")
    if not path.exists():
        here = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, here)
        raise UserError(f"There is no file '{path}'." + (f" Did you mean '{close}'?" if close else ""))
    return path


def is_packed(path: Path) -> bool:
    """Whether the file's name says that it is compressed."""
    return path.suffix.lower() in PACKED


def ending(path: Path) -> str:
    """What the file holds by its name, in lower case: the ending before that of a packed file."""
    return (Path(path.stem) if is_packed(path) else path).suffix.lower()


def open_bytes(path: Path) -> BinaryIO:
    """The file's content, unpacked as it is read.

    Raises:
        UserError: it cannot be opened.
    """
    try:
        if is_packed(path):
            return cast("BinaryIO", io.BufferedReader(pa.input_stream(str(path), compression="detect")))
        return path.open("rb")
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"'{path}' cannot be opened: {error}") from None


def open_text(path: Path) -> io.TextIOWrapper:
    """The same as text; line ends are left as they are."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")


def read_text(path: str | Path) -> str:
    """The whole of a UTF-8 file, without a byte order mark, each line ended by one newline.

    Raises:
        UserError: no such file, one that cannot be unpacked, or not UTF-8.
    """
    path = find(path)
    with open_bytes(path) as file:
        try:
            content = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            check_utf8(path)
            raise
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"'{path}' cannot be read: {error}") from None
    return content.replace("\r\n", "\n").replace("\r", "\n")


def lines_of(file: Iterable[bytes], name: str, newlines: bool = False) -> Iterator[str]:
    """The lines of a UTF-8 file as they come, without their ends and without a byte order mark.

    Args:
        name: what messages call the file.
        newlines: a line ends at a newline alone, and not at a carriage return in its midst.

    Raises:
        UserError: a line is no UTF-8, or cannot be unpacked; those before it have been given.
    """
    number, rows = 0, iter(file)
    while True:
        try:
            raw = next(rows, None)
            if raw is None:
                return
            line = (raw.removeprefix(codecs.BOM_UTF8) if number == 0 else raw).decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{name}, line {number + 1}: not UTF-8 text ({error.reason}). Save it as UTF-8.") from None
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(f"{name} cannot be read after line {number}: {error}") from None
        number += 1
        line = line.removesuffix("\n").removesuffix("\r")
        yield from [line] if newlines else line.split("\r")


def check_utf8(path: Path) -> None:
    """Raises a UserError that names the first line that is no UTF-8, if there is one, or a file that breaks off."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    with open_bytes(path) as file:
        while True:
            try:
                data = file.read(BUFFER)
            except (OSError, pa.ArrowInvalid) as error:
                raise UserError(f"'{path}' cannot be unpacked: {error}") from None
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise UserError(f"'{path}', line {line}: not UTF-8 text. Save the file as UTF-8.") from None
            if not data:
                return
            line += data.count(b"\n")
