"""Where a token stands: attention by itself does not see the order of what it looks at."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


def sinusoids(places: int, width: int, order: Literal["halves", "interleaved"] = "halves") -> Tensor:
    """sin(p / 10000^(2i / d)) and cos(p / 10000^(2i / d)) (Vaswani et al. 2017, section 3.5): (places, width), fp32.

    The paper lets sine and cosine alternate; Marian, Pegasus and the authors' own code put all sines before all
    cosines. The two differ by a permutation of the width, so a network learns the same from either.

    Args:
        places: p runs from 0 to places - 1.
        width: d, even.
    """
    rates = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)  # (width / 2,)
    angles = torch.arange(places, dtype=torch.float64)[:, None] * rates
    both = (angles.sin(), angles.cos())
    table = torch.cat(both, 1) if order == "halves" else torch.stack(both, 2).flatten(1)
    return table.float()


class Positions(nn.Module):
    """A vector for each place, which is added to the token's: fixed sinusoids, or learned (section 3.5)."""

    def __init__(self, places: int, width: int, learned: bool) -> None:
        super().__init__()
        self.weight: Tensor
        if learned:
            self.register_parameter("weight", nn.Parameter(torch.empty(places, width)))
        else:
            self.register_buffer("weight", sinusoids(places, width), persistent=False)

    def forward(self, first: int, count: int) -> Tensor:
        """The vectors of the places from `first` on: (count, width)."""
        return self.weight[first : first + count]


class Rotary(nn.Module):
    """Turns each pair of a query's or key's numbers by an angle that grows with its place (Su et al. 2021, eq. 34).

    The product of a query and a key then depends on how far apart they stand. As in Llama, number i is paired with
    number i + d_k / 2.

    Args:
        size: d_k, even.
        base: the angle of pair i at place p is p / base^(2i / d_k).
    """

    def __init__(self, size: int, base: float = 10000.0) -> None:
        super().__init__()
        self.base = base
        self.rates: Tensor
        rates = 1.0 / (base ** (torch.arange(0, size, 2, dtype=torch.int64).float() / size))
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Turned by the places from `first` on; x is (..., places, size)."""
        angles = torch.arange(first, first + x.shape[-2], device=x.device)[:, None] * self.rates
        sine, cosine = angles.sin().to(x.dtype), angles.cos().to(x.dtype)  # (places, size / 2)
        left, right = x.chunk(2, -1)
        return torch.cat([left * cosine - right * sine, right * cosine + left * sine], -1)
