"""What Lightning's names of precisions mean, such as `bf16-mixed`. Knows no hardware."""

from __future__ import annotations

NUMBERS = {"64": "fp64", "32": "fp32", "16": "fp16"}  # named by their bits; the others by themselves


def number_type(precision: str) -> str:
    """The numbers that are multiplied: fp64, fp32, bf16, fp16, or another name as it is given."""
    name = precision.partition("-")[0]
    return NUMBERS.get(name, name)


def is_mixed(precision: str) -> bool:
    """Whether the weights stay in fp32 beside products of a shorter type."""
    return precision.endswith("-mixed")
