"""The keys at the top of a config, with their types. Knows nothing of what the groups hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

from annotated_types import Interval

Group = dict[str, Any] | None


class Monitor(TypedDict, total=False):
    """The one number that best checkpoints, early stopping and sweeps look at."""

    metric: str
    mode: Literal["min", "max"]


class Top(TypedDict, total=False):
    """All keys that a composed config may have. A group that a user adds to `conf/` is a key too."""

    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)]  # what NumPy's generator takes
    monitor: Monitor
    resume: str | None
    artifact: str | None
    input: str | None
    sweep: str | None
    tags: list[str]
    notes: str | None

    stage: Group
    paths: dict[str, str | None]
    data: Group
    model: Group
    metric: Group
    task: Group
    optimizer: Group
    scheduler: Group
    trainer: Group
    callback: Group
    logger: Group
    compression: Group
