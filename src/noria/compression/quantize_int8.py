"""Weights and activations in 8 bits, as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

from noria.artifact.bundle import Artifact
from noria.common.errors import UserError
from noria.compression.artifact import save_onnx
from noria.compression.eight_bits import Quantization, linear_nodes, quantize_onnx
from noria.compression.rows import given_to_graph
from noria.compression.sensitivity import differences
from noria.compression.step import Rows, Step


class QuantizeInt8(Step):
    """Products of integers, by ONNX Runtime: weights with a scale for each output channel.

    Args:
        calibration: `dynamic`: activations are rounded by the range that they have as they come; `static`: by the range
            that they had on rows of the training data.
        rows: how many of these are taken, drawn at random, for that and for `keep_float`.
        exclude: layers that stay in float: whose names hold one of these.
        keep_float: how many more stay in float: those that change the outputs most where they alone are in 8 bits.
    """

    ends: ClassVar[bool] = True
    reads: ClassVar[str] = "whole texts"

    def __init__(
        self,
        *,
        calibration: Literal["dynamic", "static"] = "dynamic",
        rows: Annotated[int, Gt(0)] = 128,
        exclude: list[str] | None = None,
        keep_float: Annotated[int, Ge(0)] = 0,
    ) -> None:
        self.calibration = calibration
        self.rows = rows
        self.exclude = list(exclude or [])
        self.keep_float = keep_float

    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        said: dict[str, Any] = {}
        needs_rows = self.calibration == "static" or self.keep_float > 0
        given = given_to_graph(artifact, rows(), self.rows) if needs_rows else []

        def quantize(path: Path, goal: Path) -> None:
            nodes = linear_nodes(path)
            excluded = {node for node, layer in nodes.items() if any(part in layer for part in self.exclude)}
            if idle := [part for part in self.exclude if not any(part in layer for layer in nodes.values())]:
                raise UserError(f"compression.quantize_int8.exclude={idle}: no layer has that in its name.")
            static = given if self.calibration == "static" else None
            if self.keep_float:
                alone = differences(path, {n: one for n, one in nodes.items() if n not in excluded}, given, static)
                worst = sorted(alone, key=lambda node: -alone[node])
                said["sensitivity"] = {nodes[node]: alone[node] for node in worst}
                excluded |= {*worst[: self.keep_float]}
            said["in_float"] = sorted(nodes[node] for node in excluded)
            quantize_onnx(path, goal, Quantization(leave=excluded, calibration=static))

        return {**save_onnx(folder, artifact, quantize), **said}
