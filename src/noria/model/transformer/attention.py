"""Attention: what each place takes from other places."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from noria.model.dropout import cheap_dropout
from noria.model.transformer.positions import Rotary

SHORT = 64  # others up to which torch's kernel is slower on a CPU in fp32


def attention_weights(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q Kᵀ / √d_k): how much each place takes from each other one (Vaswani et al. 2017, equation 1).

    The softmax runs over the keys. Worked examples that leave it out multiply by the raw products, which are no
    weights: they may be negative and do not add up to 1.

    Args:
        query: (..., places, d_k).
        key: (..., others, d_k).
        mask: (..., places, others), bool: which others a place may look at; it must be allowed one at least. Or what is
            added to the scores, such as minus infinity.

    Returns:
        (..., places, others); each row adds up to 1.
    """
    scores = query / math.sqrt(query.shape[-1]) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1)


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """softmax(Q Kᵀ / √d_k) V (Vaswani et al. 2017, equation 1).

    Args:
        query: (..., places, d_k).
        key: (..., others, d_k).
        value: (..., others, d_v).
        mask: as `attention_weights` takes it.
        dropout: the probability of dropping a weight.

    Returns:
        (..., places, d_v).
    """
    return cheap_dropout(attention_weights(query, key, mask), dropout) @ value


def to_be_added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask of what may be looked at (bool) as what is added to scores: made once, it serves all layers."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, -math.inf)


def causal_mask(places: int, device: torch.device | None = None) -> Tensor:
    """Each place may look at itself and at those before it (Vaswani et al. 2017, section 3.2.3): (places, places)."""
    return torch.ones(places, places, dtype=torch.bool, device=device).tril()


def by_formula(query: Tensor, key: Tensor) -> bool:
    """Whether the formula itself is the quickest way: on a CPU torch's kernel takes several times as long to go back
    through short rows, and through bf16."""
    return query.device.type == "cpu" and (key.shape[-2] <= SHORT or query.dtype == torch.bfloat16)


class MultiHeadAttention(nn.Module):
    """Concat(head_1, …, head_h) W_O with head_i = attention(Q W_Q,i, K W_K,i, V W_V,i) (section 3.2.2).

    The matrices of all heads lie in one, and so do those of what is projected from the same input: `inputs` of
    self-attention holds (W_Q, W_K, W_V), `memory` of attention to an encoder's output (W_K, W_V).

    Args:
        width: d_model, of what goes in and comes out.
        heads: h; each has d_k = d_v = width / h.
        dropout: the probability of dropping an attention weight in training.
        bias: whether projections add a vector, as all families but Llama's do.
        cross: keys and values come from somewhere else.
        rotary: turns queries and keys by their places.
    """

    def __init__(
        self, width: int, heads: int, dropout: float = 0.0, bias: bool = True, cross: bool = False,
        rotary: Rotary | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.dropout, self.cross, self.rotary = heads, dropout, cross, rotary
        if cross:
            self.query = nn.Linear(width, width, bias)
            self.memory = nn.Linear(width, 2 * width, bias)
        else:
            self.inputs = nn.Linear(width, 3 * width, bias)
        self.output = nn.Linear(width, width, bias)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """What each place of x takes from the memory, or without one from x itself.

        Args:
            x: (batch, places, width).
            memory: (batch, others, width), for cross-attention.
            mask: (batch, 1 or places, others), as `attention` takes it.

        Returns:
            (batch, places, width).
        """
        query, key, value = self.projected(x, memory)
        dropout = self.dropout if self.training else 0.0
        mask = None if mask is None else mask[:, None]  # the same for all heads
        if by_formula(query, key):
            found = attention(query, key, value, mask, dropout)
        else:  # the same without keeping the weights
            found = scaled_dot_product_attention(query, key, value, mask, dropout)
        return self.output(found.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """The attention weights themselves, to be looked at: (batch, heads, places, others)."""
        query, key, _ = self.projected(x, memory)
        return attention_weights(query, key, None if mask is None else mask[:, None])

    def projected(self, x: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (batch, heads, places, d_k), and keys and values (batch, heads, others, d_k)."""
        if self.cross:
            assert memory is not None
            (query,) = self.split(self.query(x), 1)
            key, value = self.split(self.memory(memory), 2)
            return query, key, value
        query, key, value = self.split(self.inputs(x), 3)
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        return query, key, value

    def split(self, projected: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(batch, places, parts * width) as so many of (batch, heads, places, d_k)."""
        batch, places, _ = projected.shape
        return projected.view(batch, places, parts, self.heads, -1).permute(2, 0, 3, 1, 4).unbind()
