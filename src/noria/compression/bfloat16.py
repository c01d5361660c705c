"""Weights in bfloat16."""

from __future__ import annotations

from typing import ClassVar

from noria.compression.cast import Cast


class Bfloat16(Cast):
    """Writes the weights in bfloat16: 8 bits of precision, with the range of float32."""

    dtype: ClassVar[str] = "bfloat16"
