"""A graph of ONNX's with weights and activations in 8 bits, by ONNX Runtime's quantiser."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noria.compression.onnx import without_logs

LINEAR = ["MatMul", "Gemm"]  # what a linear map is written as
Given = dict[str, np.ndarray]  # what a graph is given, by name


@dataclass(frozen=True)
class Quantization:
    """Of a graph.

    Args:
        leave: names of nodes that stay in float.
        only: names of the only ones that do not; None: all that can be in 8 bits are.
        calibration: what the ranges of activations are taken from; None: each is rounded by the range that it has as it
            comes (dynamic quantisation).
    """

    leave: Collection[str] = ()
    only: Collection[str] | None = None
    calibration: Sequence[Given] | None = None


def quantize_onnx(path: Path, goal: Path, how: Quantization = Quantization()) -> None:
    """Writes a graph with its weights in int8, a scale for each output channel, and with activations that are rounded
    to 8 bits, so that products are of integers."""
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self, given: Sequence[Given]) -> None:
            self._given = iter(given)

        def get_next(self) -> Given | None:  # type: ignore[override]
            return next(self._given, None)

    options = {"MatMulConstBOnly": True}
    kept: dict[str, Any] = {"per_channel": True, "weight_type": QuantType.QInt8, "nodes_to_exclude": _called(how.leave)}
    kept["nodes_to_quantize"] = None if how.only is None else _called(how.only)
    with without_logs():
        if how.calibration is None:
            quantize_dynamic(path, goal, extra_options=options, **kept)
        else:
            quantize_static(
                path, goal, Reader(how.calibration), op_types_to_quantize=LINEAR, activation_type=QuantType.QUInt8,
                calibrate_method=CalibrationMethod.MinMax, extra_options=options, **kept,
            )  # fmt: skip
            if how.only is None:  # embeddings are looked up: there is no activation to calibrate
                quantize_dynamic(goal, goal, op_types_to_quantize=["Gather"], weight_type=QuantType.QInt8)


def _called(nodes: Collection[str]) -> list[str]:
    """Their names, also those under which the quantiser may have written a Gemm as a MatMul before it looks."""
    return [name for node in nodes for name in (node, f"{node}_MatMul")]


def linear_nodes(path: Path) -> dict[str, str]:
    """The nodes of a graph that multiply by a weight, each with the name of its layer."""
    import onnx

    graph = onnx.load(path).graph
    weights = {one.name for one in graph.initializer}
    return {n.name: _layer(n) for n in graph.node if n.op_type in LINEAR and n.input[1] in weights}


def _layer(node: Any) -> str:
    """The module that torch's exporter says a node comes from."""
    scopes = next((one.value for one in node.metadata_props if one.key == "pkg.torch.onnx.name_scopes"), "[]")
    *outer, _ = ast.literal_eval(scopes) or [""]
    return str(outer[-1]).removeprefix("network.") if outer else str(node.name)


def said_by(path: Path, given: Sequence[Given]) -> list[list[np.ndarray]]:
    """What a graph says of each."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [[*map(np.asarray, session.run(None, one))] for one in given]
