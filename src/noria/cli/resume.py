"""Going on with a run: which one, and what may not change on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noria.common.errors import UserError
from noria.config.hashing import config_hash, differences


def refuse_finished(folder: Path) -> None:
    """Refuses to go on with a run that is done: it has looked at its test set.

    Raises:
        UserError: says what to do instead.
    """
    path = folder / "record.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("status") == "done":
        raise UserError(
            f"resume={folder}: this run is done. For a longer one start anew with trainer.max_epochs=…, or go on "
            f"from its weights with model=hub model.name={folder / 'artifact'}."
        )


def refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuses overrides that would make the rest of the run another run.

    Raises:
        UserError: names each key, what it was and what it would be.
    """
    changed = differences(before, now)
    if changed:
        lines = "\n".join(f"  {key}: was {old!r}, would be {new!r}" for key, old, new in changed)
        raise UserError(
            f"resume={now['resume']}: these would change the mathematics of a run that is under way:\n{lines}\n"
            "Leave them as they were, or start a new run."
        )


def find_unfinished(config: dict[str, Any], run_dir: Path) -> Path | None:
    """The newest run beside `run_dir` that has this config, has not finished, and left a checkpoint."""
    wanted = config_hash(config)
    for path in sorted(run_dir.parent.glob("*/record.json"), reverse=True):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a run whose record cannot be read cannot be resumed either
        same = record.get("config_hash") == wanted and record.get("stage") == "fit"
        if same and record.get("status") != "done" and (path.parent / "checkpoints" / "last.ckpt").is_file():
            return path.parent
    return None
