"""Weights in float16."""

from __future__ import annotations

from typing import ClassVar

from noria.compression.cast import Cast


class Float16(Cast):
    """Writes the weights in float16: 11 bits of precision, up to 65504."""

    dtype: ClassVar[str] = "float16"
