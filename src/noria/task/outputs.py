"""What a network says of examples, reduced to what decides their answers, in arrays. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ragged:
    """A number of values for each example that is not the same for all.

    Args:
        values: all of them, one example after the other (sum of `lengths`, …).
        lengths: how many each example has (examples,), int64.
    """

    values: np.ndarray
    lengths: np.ndarray

    def take(self, order: np.ndarray) -> Ragged:
        """Those of the examples with these numbers, in this order."""
        ends = np.cumsum(self.lengths)
        pieces = [self.values[ends[one] - self.lengths[one] : ends[one]] for one in order]
        return Ragged(np.concatenate(pieces) if pieces else self.values[:0], self.lengths[order])

    def split(self) -> list[np.ndarray]:
        """The values of each example."""
        return np.split(self.values, np.cumsum(self.lengths)[:-1]) if len(self.lengths) else []


Outputs = dict[str, "np.ndarray | Ragged"]
"""By name an array (examples, …), or `Ragged`."""


def joined(parts: Sequence[Mapping[str, np.ndarray | Ragged]], order: np.ndarray) -> Outputs:
    """The outputs of several batches as one, in an order of their examples."""
    found: Outputs = {}
    for name in parts[0] if parts else ():
        pieces = [part[name] for part in parts]
        ragged = [piece for piece in pieces if isinstance(piece, Ragged)]
        if ragged:
            values = np.concatenate([piece.values for piece in ragged])
            found[name] = Ragged(values, np.concatenate([piece.lengths for piece in ragged])).take(order)
        else:
            found[name] = np.concatenate([piece for piece in pieces if isinstance(piece, np.ndarray)])[order]
    return found
