"""Going on with a run: which one, and what may not change on the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noria.common.cluster import shared_launch
from noria.common.command import word
from noria.common.errors import UserError
from noria.common.names import LAST_CHECKPOINT
from noria.config.hashing import config_hash, differences
from noria.tracking.record_file import DONE
from noria.tracking.run_folder import is_held


def refuse_finished(folder: Path, architecture: str | None = None) -> None:
    """Refuses to go on with a run that is done: it has looked at its test set.

    Args:
        architecture: of its model.

    Raises:
        UserError: says what to do instead.
    """
    path = folder / "record.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if record.get("status") == "done" and record.get("stage") == "compress":
        raise UserError(f"resume={folder}: this run is done. For other steps start anew.")
    if record.get("status") == "done":
        kind = "" if architecture in (None, "encoder") else f" model.architecture={architecture}"
        model = word("model.name", folder / "artifact")
        raise UserError(
            f"resume={folder}: this run is done. For a longer one start anew with trainer.max_epochs=…, or go on "
            f"from its weights with model=hub {model}{kind}."
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


def find_unfinished(config: dict[str, Any], run_dir: Path, job: str | None = None) -> Path | None:
    """The newest run beside `run_dir` that has this config, has not finished, left a checkpoint, and does not run now.

    Args:
        job: only runs of this job of a cluster.
    """
    wanted, together = config_hash(config), shared_launch() is not None
    found = []
    for path in run_dir.parent.glob("*/record.json"):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a run whose record cannot be read cannot be resumed either
        # by its config, for what the hash is made of may have been another when the run began
        its_hash = config_hash(record["config"]) if "config" in record else record.get("config_hash")
        fits = its_hash == wanted and record.get("stage") == "fit" and record.get("status") != DONE
        if not fits or not (path.parent / LAST_CHECKPOINT).is_file() or (job is not None and record.get("job") != job):
            continue
        # processes that a cluster starts together must all choose alike, and the first of them may be ahead
        if together or not is_held(path.parent):
            found.append((str(record.get("started", "")), path.parent.name, path.parent))
    return max(found)[2] if found else None
