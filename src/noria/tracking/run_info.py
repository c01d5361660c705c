"""Who a run is, for the loggers that show it to others. Plain facts; knows no logger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunInfo:
    """Names and facts of one run.

    Args:
        folder: the run folder.
        experiment, stage: what runs.
        wandb_id: chosen before the run starts, so that a resumed part carries the same.
        config: resolved, plain.
        modes: `max` or `min` for each measured name, for the best value in summaries.
    """

    folder: Path
    experiment: str
    stage: str
    wandb_id: str
    config: Mapping[str, Any]
    modes: Mapping[str, str]
