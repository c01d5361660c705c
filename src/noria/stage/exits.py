"""How a fit ends: Lightning's ways of leaving get exceptions of their own, out-of-memory its advice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist
from lightning.pytorch.utilities.exceptions import SIGTERMException

from noria.common.errors import RunError, Terminated, UserError


@contextmanager
def own_group() -> Iterator[None]:
    """Leaves no group of processes and none of Lightning's variables: the next trial of a sweep makes its own."""
    before = set(os.environ)
    try:
        yield
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
        for name in {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"} - before:
            os.environ.pop(name, None)


@contextmanager
def one_exit() -> Iterator[None]:
    """Gives Lightning's ways of ending a fit their own exceptions, and out-of-memory its advice."""
    # Lightning ends the step first and then raises; it only adds its handler to one that is there.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    except SIGTERMException as stop:
        raise Terminated from stop
    except SystemExit as stop:  # Lightning leaves with sys.exit(1) after Ctrl-C
        if isinstance(stop.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from stop
        raise
    except (torch.OutOfMemoryError, MemoryError) as problem:
        raise RunError(out_of_memory(problem)) from problem
    except RuntimeError as problem:
        if "not enough memory" in str(problem) or "can't allocate memory" in str(problem):
            raise RunError(out_of_memory(problem)) from problem
        if type(problem).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise RunError(
                f"trainer.compile=true: torch could not compile the network ({str(problem).splitlines()[0]}). "
                "On a CPU it needs a C++ compiler such as g++. Without one: trainer.compile=false."
            ) from problem
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def saving(artifact: Path, checkpoint: str | None) -> Iterator[None]:
    """Says of a disk without room where the trained weights are, and how to go on from there."""
    try:
        yield
    except Exception as problem:
        if not (reason := no_room(problem)):
            raise
        way = f", then go on with resume={os.path.relpath(artifact.parent)}" if checkpoint else ""
        there = f"The training is done, and its weights are in {checkpoint}. " if checkpoint else ""
        raise RunError(f"The artifact {artifact} cannot be written ({reason}). {there}Make room{way}.") from problem


@contextmanager
def making_smaller(run: Path) -> Iterator[None]:
    """Says of a disk without room that what is there of the run is whole, and how to go on."""
    try:
        yield
    except Exception as problem:
        if not (reason := no_room(problem)):
            raise
        raise RunError(
            f"There is no room in {run} or at stage.output ({reason}). What is there is whole. Make room, then go on "
            f"with resume={os.path.relpath(run)}."
        ) from problem


def no_room(problem: BaseException) -> str:
    """Why a file could not be written, where that is the reason; safetensors has an error of its own for it."""
    if isinstance(problem, OSError):
        return problem.strerror or str(problem)
    found = re.search(r"I/O error: (.*?)(?: \(os error|$)", str(problem))
    return found[1] if found else ""


@contextmanager
def measuring(artifact: Path) -> Iterator[None]:
    """Says of an error in measuring that the artifact is saved: it is measured again, and not trained again."""
    try:
        yield
    except Exception as problem:
        way = (
            "The training is done and the artifact is saved. To measure it: noria stage=evaluate "
            f"artifact={os.path.relpath(artifact)}"
        )
        if isinstance(problem, torch.OutOfMemoryError | MemoryError):
            raise RunError(f"{out_of_memory(problem)}\n{way}") from problem
        if isinstance(problem, UserError | RunError | OSError):
            raise RunError(f"{problem}\n{way}") from problem
        problem.add_note(way)
        raise


def out_of_memory(problem: BaseException) -> str:
    """What to lower when memory does not suffice."""
    return (
        f"Out of memory ({str(problem).splitlines()[0] if str(problem) else type(problem).__name__}). "
        "Lower data.batch_size or data.batch_tokens (and raise trainer.accumulate_grad_batches by as much), lower "
        "data.max_length, or take precision=bf16, or model.freeze=embeddings."
    )
