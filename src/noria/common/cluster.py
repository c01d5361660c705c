"""What a cluster says of this process: its job, and its place among the processes of one run. Reads variables only."""

from __future__ import annotations

import os

TORCHRUN = "TORCHELASTIC_RUN_ID"
CHILD = "NORIA_CHILD"  # set for the ranks that a fit starts: its folder, choices and secrets, as JSON
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")


def is_first_rank() -> bool:
    """Whether this process, of those that run one training, is the one that speaks and writes."""
    return not any(_number(name) for name in RANKS)


def job() -> str | None:
    """What the job is called that this process belongs to; SLURM keeps the name when it queues a job again."""
    for name in ("SLURM_JOB_ID", TORCHRUN):
        if (found := os.environ.get(name)) and found != "none":  # "none" is torchrun's name for what nobody named
            return found
    return None


def restarts() -> int:
    """How often this job was started again: by SLURM after it was stopped, by torchrun after a process failed."""
    return _number("SLURM_RESTART_COUNT") + _number("TORCHELASTIC_RESTART_COUNT")


def shared_launch() -> str | None:
    """A name that the processes have in common which a cluster has started for one run; None for a single process.

    `srun` starts the tasks of a step, torchrun those of its id. A script that runs in a SLURM job starts its commands
    one by one, or side by side: these are runs of their own.
    """
    elastic = os.environ.get(TORCHRUN, "none")
    if elastic != "none":
        return elastic
    tasks = _number("SLURM_STEP_NUM_TASKS") or _number("SLURM_NTASKS")
    if "SLURM_STEP_ID" in os.environ and tasks > 1:
        return f"{job()}.{os.environ['SLURM_STEP_ID']}"
    return None


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else 0
