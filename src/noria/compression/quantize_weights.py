"""Weights of 8 or 4 bits for decoders; activations stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from noria.artifact.bundle import Artifact
from noria.compression.step import Rows, Step
from noria.compression.weights import save_packed


class QuantizeWeights(Step):
    """The linear layers' weights become whole numbers, in the format of compressed-tensors; the rest is in bf16.

    Args:
        bits: 8, with a scale for each output; or 4, with one for each group of inputs.
        group_size: inputs that share a scale, in 4 bits.
    """

    ends: ClassVar[bool] = True
    reads: ClassVar[str] = "decoder"

    def __init__(self, *, bits: Literal[8, 4] = 8, group_size: Literal[32, 64, 128, 256] = 64) -> None:
        self.bits = bits
        self.group_size = group_size

    def apply(self, artifact: Artifact, folder: Path, rows: Rows, number: int = 1) -> dict[str, Any]:
        save_packed(folder, artifact, self.bits, self.group_size)
        return {}
