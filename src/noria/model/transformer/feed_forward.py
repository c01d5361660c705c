"""The layer that works on each place alone. Accounts of the Transformer that stop at attention leave it out; two thirds
of a block's weights are in it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from noria.model.dropout import cheap_dropout

ACTIVATIONS: dict[str, Any] = {"relu": functional.relu, "gelu": functional.gelu, "silu": functional.silu}


class FeedForward(nn.Module):
    """f(x W_1 + b_1) W_2 + b_2 with f the ReLU (Vaswani et al. 2017, equation 2) or another function.

    Args:
        width: d_model.
        inner: d_ff.
        activation: `relu`, `gelu` (Hendrycks and Gimpel 2016) or `silu`.
        dropout: the probability of dropping a number of f(…).
    """

    def __init__(self, width: int, inner: int, activation: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.activation, self.dropout = activation, dropout
        self.inner = nn.Linear(width, inner)
        self.outer = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        found = ACTIVATIONS[self.activation](self.inner(x))
        return self.outer(cheap_dropout(found, self.dropout, self.training))


class SwiGLU(nn.Module):
    """(silu(x W) * x V) W_2 without biases (Shazeer 2020, equation 6): V lets through what W opens.

    Args:
        width: d_model.
        inner: d_ff.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, inner, bias=False)
        self.inner = nn.Linear(width, inner, bias=False)
        self.outer = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        return self.outer(functional.silu(self.gate(x)) * self.inner(x))
