"""Attention of packed rows to themselves, on a CPU with few operations: products, softmax and dropout in one piece.

Knows where the tokens of a batch lie, and no layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from noria.model.dropout import STEPS, drops_cheaply, keep_mask, masked, scale_of

LENGTHS = 8  # the longest row is rounded up to a multiple of it
TOKENS = 64  # and so is the number of tokens: each new shape of a product costs half a millisecond and half a megabyte
LONG = 128  # beyond it torch's own kernel is quicker, where nothing is dropped; at it they are nearly equal


@dataclass(frozen=True)
class Packing:
    """How the tokens of a batch lie one after the other: row by row, without padding, then perhaps some fillers.

    Args:
        lengths: (rows,), of each row.
        longest: of all of them, rounded up.
        tokens: that there are, fillers left out.
        size: with fillers.
    """

    lengths: Tensor
    longest: int
    tokens: int
    size: int

    @classmethod
    def of(cls, lengths: Tensor) -> Packing:
        tokens, longest = (int(x) for x in (lengths.sum(), lengths.max()))
        return cls(lengths, -(-longest // LENGTHS) * LENGTHS, tokens, -(-tokens // TOKENS) * TOKENS)

    @cached_property
    def firsts(self) -> Tensor:
        """(rows,), where each row begins."""
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def there(self) -> Tensor:
        """Which places of padded rows hold a token, bool (rows, longest)."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    @cached_property
    def places(self) -> Tensor:
        """(tokens,), where each token lies in padded rows (rows * longest)."""
        return self.there.flatten().nonzero()[:, 0]

    def of_padded(self, length: int) -> Tensor:
        """(size,), where each token lies in padded rows of another length (rows * length); fillers lie anywhere."""
        found = self.places // self.longest * length + self.places % self.longest
        return functional.pad(found, (0, self.size - self.tokens))

    def to_rows(self, heads: int) -> Tensor:
        """For every head of padded rows (rows * heads * longest) its place in the heads of tokens (size * heads);
        for places of padding it is any place."""
        found = torch.where(self.there, self.firsts[:, None] + self._steps(self.longest), 0)
        return (found[:, None] * heads + self._steps(heads)[:, None]).flatten()

    def not_there(self, heads: int) -> Tensor:
        """The places of padding in the heads of padded rows (rows * heads * longest)."""
        return (~self.there).repeat_interleave(heads, 0).flatten().nonzero()[:, 0]

    def to_tokens(self, heads: int) -> Tensor:
        """The way back, (size * heads); a filler may be any place."""
        row, place = self.places // self.longest, self.places % self.longest
        found = (row[:, None] * heads + self._steps(heads)) * self.longest + place[:, None]
        return functional.pad(found.flatten(), (0, (self.size - self.tokens) * heads))

    def bias(self, heads: int, dtype: torch.dtype) -> Tensor | None:
        """What is added to scores, (rows * heads, 1, longest): next to minus infinity at padding."""
        if self.tokens == self.there.numel():
            return None
        bias = torch.zeros(self.there.shape, dtype=dtype, device=self.lengths.device)
        return bias.masked_fill_(~self.there, torch.finfo(dtype).min).repeat_interleave(heads, 0)[:, None]

    def _steps(self, count: int) -> Tensor:
        return torch.arange(count, device=self.lengths.device)


class PackedAttention:
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) of each row of a batch to itself.

    What is computed once for all layers is kept.

    Args:
        packing: of the batch.
        heads: of each layer.
    """

    def __init__(self, packing: Packing, heads: int) -> None:
        self.packing, self.heads = packing, heads
        self._to_rows, self._to_tokens = packing.to_rows(heads), packing.to_tokens(heads)
        self._not_there = packing.not_there(heads)
        self._biases: dict[torch.dtype, Tensor | None] = {}

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, scaling: float, dropout: float = 0.0) -> Tensor:
        """
        Args:
            query: (tokens, width), or (rows, width) where only the first token of each row asks.
            key, value: (tokens, width), packed.
            dropout: the probability of dropping a weight.

        Returns:
            In the shape of the query.
        """
        drop = round(dropout * STEPS)
        if query.device.type == "cpu" and (drops_cheaply(query, drop) or (not drop and self.packing.longest < LONG)):
            with torch.autocast("cpu", enabled=False):
                return _Attend.apply(query, key, value, self, scaling, drop)
        q, k, v = (self.padded(x).unflatten(0, (-1, self.heads)) for x in (query, key, value))
        bias = self.bias(q.dtype)
        mask = None if bias is None else bias.unflatten(0, (-1, self.heads))
        return self.packed(functional.scaled_dot_product_attention(q, k, v, mask, dropout, scale=scaling), query.shape)

    def padded(self, x: Tensor) -> Tensor:
        """Heads (rows * heads, longest, head width) of tokens (tokens, width); of first tokens, one each."""
        heads = x.view(x.shape[0] * self.heads, -1)
        if self._of_firsts(x.shape):
            return heads[:, None]
        return heads.index_select(0, self._to_rows).unflatten(0, (-1, self.packing.longest))

    def padded_with_zeros(self, x: Tensor) -> Tensor:
        """As `padded`, for gradients: those at padding are 0."""
        found = self.padded(x)
        if len(self._not_there) and not self._of_firsts(x.shape):
            found.view(-1, found.shape[-1]).index_fill_(0, self._not_there, 0)
        return found

    def packed(self, x: Tensor, shape: torch.Size) -> Tensor:
        """The way back, to that shape. The values of fillers are anything."""
        heads = x.reshape(-1, x.shape[-1])
        return (heads if self._of_firsts(shape) else heads.index_select(0, self._to_tokens)).view(shape)

    def bias(self, dtype: torch.dtype) -> Tensor | None:
        if dtype not in self._biases:
            self._biases[dtype] = self.packing.bias(self.heads, dtype)
        return self._biases[dtype]

    def _of_firsts(self, shape: torch.Size) -> bool:
        return shape[0] == len(self.packing.lengths) < self.packing.size


class _Attend(torch.autograd.Function):
    """Holds one tensor of all pairs of tokens, and what of it is dropped in two bytes each."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, attention: PackedAttention, scaling: float, drop: int
    ) -> Tensor:
        q, k, v = (attention.padded(x) for x in (query, key, value))
        weights = _product(q, k.mT, scaling, attention.bias(q.dtype)).softmax(-1)
        keep = keep_mask(weights.shape, drop) if drop else None
        ctx.save_for_backward(q, k, v, weights, keep)
        ctx.attention, ctx.scaling, ctx.scale = attention, scaling, scale_of(drop)
        ctx.shapes = query.shape, key.shape
        return attention.packed(_product(_kept(weights, keep), v, ctx.scale), query.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, keep = ctx.saved_tensors
        attention, (asked, all_) = ctx.attention, ctx.shapes
        of_out = attention.padded_with_zeros(gradient.contiguous())
        of_value = _product(_kept(weights, keep).mT, of_out, ctx.scale)
        of_weights = _kept(torch.bmm(of_out, v.mT), keep)
        of_scores = torch.ops.aten._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        scaling = ctx.scaling * ctx.scale
        found = [_product(of_scores, k, scaling), _product(of_scores.mT, q, scaling), of_value]
        found = [attention.packed(x, shape) for x, shape in zip(found, (asked, all_, all_), strict=True)]
        for x in found:
            if len(x) == attention.packing.size:
                x[attention.packing.tokens :] = 0  # fillers, or they would count in the gradients of weights
        return *found, None, None, None


def _product(a: Tensor, b: Tensor, scale: float, bias: Tensor | None = None) -> Tensor:
    """bias + scale * a @ b, of batches of matrices."""
    if bias is None:
        return torch.baddbmm(a.new_empty(()), a, b, beta=0, alpha=scale)
    return torch.baddbmm(bias, a, b, alpha=scale)


def _kept(weights: Tensor, keep: Tensor | None) -> Tensor:
    return weights if keep is None else masked(weights, keep)
