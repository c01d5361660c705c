"""How much each layer alone, in 8 bits, changes what a graph says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from noria.common.console import get_console
from noria.compression.eight_bits import Given, Quantization, quantize_onnx, said_by


def differences(
    path: Path, nodes: Mapping[str, str], given: Sequence[Given], static: Sequence[Given] | None = None
) -> dict[str, float]:
    """For each node the largest difference between what the graph says as it is and with that node alone in 8 bits.

    Args:
        path: the graph in fp32.
        nodes: names of its nodes, each with its layer's.
        given: what both are asked.
        static: what the ranges of activations are taken from; None: they are taken as they come.
    """
    wanted, found = said_by(path, given), {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=get_console(), transient=True) as bar:
        goal = Path(folder) / "alone.onnx"
        for node in bar.track(nodes, description="Each layer alone in 8 bits"):
            quantize_onnx(path, goal, Quantization(only=[node], calibration=static))
            found[node] = max(_apart(a, b) for a, b in zip(wanted, said_by(goal, given), strict=True))
    return found


def _apart(wanted: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(one - other).max()) for one, other in zip(wanted, found, strict=True))
