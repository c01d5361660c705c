"""Writes checkpoints so that a file is whole or not there. Knows nothing of what is in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from noria.common.errors import RunError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the goal, waits for the disk, and renames.

    Lightning writes to the temporary folder and moves the file: on another disk that is a copy, and a run killed
    meanwhile, or a full disk, would leave half of it in the place of the last good one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Raises RunError, with the earlier file untouched, where the disk is full or the folder not to be written."""
        goal = Path(path)
        building = goal.with_name(f".{goal.name}.tmp")  # one name: what a killed run has left is written over
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            with building.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(building, goal)
        except (OSError, RuntimeError) as error:  # torch has an error of its own for a write that failed
            with suppress(OSError):
                building.unlink()
            for cause in _causes(error):
                if not isinstance(cause, Exception):  # a Ctrl-C in mid-write, which torch takes for a failure
                    raise cause from None
            kept = "The one before it is whole. " if goal.is_file() else ""
            raise RunError(
                f"The checkpoint {goal} cannot be written ({_reason(error)}). {kept}Make room or name another folder "
                "(paths.run_dir), then go on with resume=."
            ) from error


def _reason(error: BaseException) -> str:
    """The system's own words, where torch has hidden them behind its own."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(error).partition("\n")[0]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came of."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
