"""How many trials a machine holds at once, and which part of it each gets."""

from __future__ import annotations

import os

from noria.common.errors import UserError
from noria.common.hardware import machine
from noria.sweep.pool import Slot

MEMORY = 2 * 2**30  # bytes of it that must be there for each trial on the CPU, where their number is not given


def make_slots(trials: int, n_jobs: int | None, gpus: int) -> list[Slot]:
    """Room for trials: `gpus` GPUs each, or a share of the threads.

    Args:
        trials: how many there are to run.
        n_jobs: at once; None for as many as there is room for.
        gpus: for each trial; 0 for none, where there are some.

    Raises:
        UserError: there are not so many GPUs.
    """
    threads, present = machine().cpu_threads, machine().gpu_count
    if gpus and present:
        if gpus > present:
            raise UserError(f"hydra.launcher.gpus={gpus}: a trial cannot have more GPUs than there are ({present}).")
        names = _gpu_names(present)
        groups = [names[start : start + gpus] for start in range(0, present - gpus + 1, gpus)]
        groups = groups[: max(1, min(n_jobs or trials, trials))]
        return [Slot(max(1, threads // len(groups)), {"CUDA_VISIBLE_DEVICES": ",".join(group)}) for group in groups]
    if n_jobs is None:
        n_jobs = min(threads, max(1, _free_memory() // MEMORY))
    count = max(1, min(n_jobs, trials))
    environ = {"CUDA_VISIBLE_DEVICES": ""} if present else {}
    return [Slot(max(1, threads // count), environ)] * count


def _gpu_names(present: int) -> list[str]:
    """What `CUDA_VISIBLE_DEVICES` calls the GPUs that this sweep may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(index) for index in range(present)]
    return [name.strip() for name in visible.split(",")][:present]


def _free_memory() -> int:
    """Bytes that are free for new processes; where the system does not say, enough for all threads."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            found = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        return found["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return MEMORY * machine().cpu_threads
