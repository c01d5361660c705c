"""Fetches the records and predictions of runs that lie in W&B."""

from __future__ import annotations

import os
from pathlib import Path

from noria.common.errors import UserError
from noria.tracking.record_file import FILE, PREDICTIONS

PREFIX = "wandb:"


def fetch(word: str, into: Path) -> Path:
    """Brings the runs of `wandb:<entity>/<project>` or `wandb:<entity>/<project>/<group>` into a folder.

    Files that are there already are not fetched again.

    Returns:
        The folder that now holds a folder for each run.

    Raises:
        UserError: no such runs, or W&B cannot be asked.
    """
    parts = word.removeprefix(PREFIX).split("/", 2)
    if len(parts) < 2 or not all(parts):
        raise UserError(f"stage.runs: {word} is not of the form wandb:<entity>/<project>[/<group>].")
    if os.environ.get("WANDB_MODE", "").strip().lower() == "offline":
        raise UserError(f"stage.runs: {word} needs W&B, and WANDB_MODE is offline.")
    import wandb

    try:
        found = list(wandb.Api().runs("/".join(parts[:2]), {"group": parts[2]} if parts[2:] else None))
        folder = into.joinpath(*parts)
        for run in found:
            for name in (FILE, PREDICTIONS):
                if not (folder / run.id / name).is_file():
                    run.file(name).download(root=str(folder / run.id))
    except Exception as error:  # W&B raises its own, requests' and built-in ones
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"stage.runs: {word} cannot be fetched: {reason}") from error
    if not found:
        raise UserError(f"stage.runs: W&B has no runs under {word}.")
    return folder
