"""What of a batch counts as work done: its examples, and the tokens of its sequences. Measures no time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Counts:
    """Of one batch.

    Args:
        examples: rows of the data; a pair of sequences is one.
        lengths: useful tokens of each sequence that the network reads (sequences,), integers on the batch's device.
        computed: tokens that the network computes, padding included.
    """

    examples: int
    lengths: Tensor
    computed: int


def counts_of_mask(mask: Tensor) -> Counts:
    """Of one sequence an example, by the attention mask (batch, time): padding is not useful."""
    return Counts(mask.shape[0], mask.sum(1), mask.numel())
