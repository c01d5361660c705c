"""`torch.compile` where it pays: measured on the run's own batches, and kept only where it is quicker.

Knows steps of a task, nothing of what they compute.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)

ROUNDS = 3  # interleaved, after one for each to warm up and to compile
Step = Callable[[nn.Module, dict[str, Tensor]], Tensor]  # a network and a batch to a loss


def compile_network(network: nn.Module) -> None:
    """Compiles in place: the keys of the weights keep their names. Lengths vary, hence dynamic shapes."""
    network.compile(dynamic=True)


def compiling_pays(
    plain: nn.Module,
    compiled: nn.Module,
    batches: Sequence[dict[str, Tensor]],
    step: Step,
    context: Callable[[], AbstractContextManager[Any]],
) -> dict[str, Any]:
    """Whether training steps are quicker with `compiled`: {"compiled": bool, "why": str, and the seconds of both}.

    Weights and torch's generators are left as they were, gradients are none.

    Args:
        plain, compiled: the same network twice, on its device; the second one goes through torch's compiler.
        context: the precision of the run.
    """
    seconds: dict[str, list[float]] = {"plain": [], "compiled": []}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        for round_ in range(ROUNDS + 1):
            for name, network in (("plain", plain), ("compiled", compiled)):
                try:
                    taken = _taken(network, batches, step, context)
                except Exception as error:  # the compiler's troubles come as many types; the plain network's are real
                    if name == "plain":
                        raise
                    said = " ".join(str(error).split())[:200]
                    return {"compiled": False, "why": f"it cannot be compiled here ({type(error).__name__}: {said})"}
                if round_:
                    seconds[name].append(taken)
    found = {name: median(values) for name, values in seconds.items()}
    pays = found["compiled"] < found["plain"]
    why = f"{found['compiled']:.3f} s for {len(batches)} steps compiled, {found['plain']:.3f} s as it is"
    return {"compiled": pays, "why": why, "seconds": found}


def remembered(path: Path, choose: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was chosen before and lies in a file, else what is chosen now: a repeated run chooses the same."""
    try:
        choice: dict[str, Any] = json.loads(path.read_text())
        return {**choice, "compiled": bool(choice["compiled"])}
    except (OSError, ValueError, KeyError, TypeError):
        choice = choose()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(choice))
    except OSError as error:
        log.warning("The choice between compiling and not is not kept, %s cannot be written: %s", path, error)
    return choice


def _taken(
    network: nn.Module,
    batches: Sequence[dict[str, Tensor]],
    step: Step,
    context: Callable[[], AbstractContextManager[Any]],
) -> float:
    start = time.perf_counter()
    for batch in batches:
        with context():
            loss = step(network, batch)
        loss.backward()
        network.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start
