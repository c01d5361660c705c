"""What else is known of encoded examples, kept on disk by what it was made of and read back through a memory map.

Knows not what the numbers mean, nor who made them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from noria.common.errors import UserError
from noria.common.paths import cache_dir
from noria.common.swap import replace_folder

log = logging.getLogger(__name__)

FACTS = "columns.json"


@dataclass(frozen=True)
class Column:
    """Values of examples.

    Args:
        values: one an example (examples, …); with `lengths` those of all examples one after the other.
        lengths: how many values each example has (examples,), int64; None: one.
    """

    values: np.ndarray
    lengths: np.ndarray | None = None

    @cached_property
    def ends(self) -> np.ndarray:
        assert self.lengths is not None
        return np.cumsum(self.lengths)

    def __len__(self) -> int:
        return len(self.values if self.lengths is None else self.lengths)

    def take(self, index: np.ndarray) -> np.ndarray:
        """The values of the examples with these numbers; a filler (-1 - number) has none where they have lengths."""
        if self.lengths is None:
            return self.values[np.where(index < 0, -1 - index, index)]
        pieces = [self.values[self.ends[one] - self.lengths[one] : self.ends[one]] for one in index if one >= 0]
        return np.concatenate([self.values[:0], *pieces])


Columns = Mapping[str, Column]


def cached_columns(name: str, examples: int, make: Callable[[], Iterator[Columns]]) -> Columns:
    """The columns that the cache folder holds under a name, made and put there first where they are missing.

    Where several processes ask at once, one makes them and the others wait.

    Args:
        name: a hash of all that decides them.
        examples: how many they are of.
        make: gives them part by part, in the examples' order.

    Raises:
        UserError: they cannot be written.
    """
    folder = cache_dir() / "columns" / name
    if (found := read(folder, examples)) is not None:
        return found
    try:
        with _alone(folder):
            if (found := read(folder, examples)) is None:  # nobody else has made them meanwhile
                write(folder, make())
    except OSError as error:
        raise UserError(
            f"{folder.parent} cannot be written ({error.strerror or error}): NORIA_CACHE=<folder> names another cache."
        ) from error
    found = found or read(folder, examples)
    assert found is not None, "what was just written can be read"
    return found


def write(folder: Path, parts: Iterator[Columns]) -> None:
    """Writes beside the goal and then renames, so that a reader sees the whole or nothing."""
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    facts: dict[str, dict[str, object]] = {}
    try:
        with contextlib.ExitStack() as files:
            opened = {}
            for part in parts:
                for name, column in part.items():
                    pieces = {"values": column.values}
                    if column.lengths is not None:
                        pieces["lengths"] = column.lengths.astype(np.int64)
                    facts[name] = {"dtype": column.values.dtype.str, "shape": list(column.values.shape[1:])}
                    for kind, array in pieces.items():
                        path = building / f"{name}.{kind}"
                        if path not in opened:
                            opened[path] = files.enter_context(path.open("wb"))
                        opened[path].write(np.ascontiguousarray(array).tobytes())
        (building / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        replace_folder(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def read(folder: Path, examples: int) -> Columns | None:
    """The columns in a folder; None where there are none, or none of so many examples."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        found = {name: _column(folder, name, fact["dtype"], fact["shape"]) for name, fact in facts.items()}
        whole = all(len(one) == examples for one in found.values())
        whole = whole and all(one.lengths is None or one.lengths.sum() == len(one.values) for one in found.values())
        if not whole:
            raise ValueError(f"they are not of {examples} examples")
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("The columns kept in %s are unreadable and are made again: %s", folder, error)
        return None


def _column(folder: Path, name: str, dtype: str, shape: list[int]) -> Column:
    values = _mapped(folder / f"{name}.values", np.dtype(dtype)).reshape(-1, *shape)
    lengths = folder / f"{name}.lengths"
    return Column(values, np.array(_mapped(lengths, np.dtype(np.int64))) if lengths.exists() else None)


def _mapped(path: Path, dtype: np.dtype) -> np.ndarray:
    if not path.stat().st_size:  # nothing can be mapped
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process makes the same; a killed one is waited for no longer."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("Another process makes %s: this one waits for it.", folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # of a file system without locks: both make the same
            pass
        yield
