"""An encoder that computes neither padding nor what its classifier never looks at: the same logits for less work.

Knows the layout that BERT and its descendants share in transformers, and nothing of what they learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from noria.model.dropout import dropped_product

NAME = "unpadded"
# Layers of self-attention, then two matrices, each with its sum and norm; a head that reads the first token alone.
FAMILIES = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
GROUPS = 4  # of rows of one length; with more of them, many small products cost more than some padding


def can_unpad(network: nn.Module) -> bool:
    """Whether this is a classifier of a known family, in its own encoder."""
    kind = type(_bare(network))
    if not kind.__module__.startswith("transformers.") or not kind.__name__.endswith("ForSequenceClassification"):
        return False  # code that came with a model may have any layout
    config = _bare(network).config
    return config.model_type in FAMILIES and not config.is_decoder


def unpad(network: nn.Module) -> None:
    """Makes the encoder pack the tokens of a batch, in place. The weights keep their names."""
    assert can_unpad(network)
    backbone: Any = _bare(network).base_model
    if isinstance(backbone.encoder, UnpaddedEncoder):
        return
    backbone.encoder = UnpaddedEncoder(backbone.encoder)
    backbone.set_attn_implementation(NAME)


def _bare(network: nn.Module) -> Any:
    """The network without the adapter around it."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network  # type: ignore[operator]


@dataclass(frozen=True)
class Packing:
    """How the tokens of a batch lie one after the other: its rows by rising length, without padding.

    Args:
        groups: for each length, (its first token, its rows, the length).
        lengths: (rows,), rising.
        firsts: (rows,), where each row begins.
    """

    groups: list[tuple[int, int, int]]
    lengths: Tensor
    firsts: Tensor

    @property
    def mask(self) -> Tensor:
        """Which places of the padded rows hold a token, bool (rows, longest)."""
        return torch.arange(self.groups[-1][2], device=self.lengths.device) < self.lengths[:, None]


class UnpaddedEncoder(nn.Module):
    """Stands in for the encoder of a classifier: hidden states (rows, length, width) in, (rows, 1, width) out.

    Args:
        encoder: whose layers it takes over. The last one computes the first token of each row only.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        *layers, last = encoder.layer
        self.layer = nn.ModuleList([*layers, FirstTokenLayer(last)])

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        """
        Args:
            attention_mask: (rows, length), rows padded at the right; None: no padding.

        Returns:
            `last_hidden_state`: (rows, 1, width), the first token of each row.
        """
        hidden_states, packing, back = _pack(hidden_states, attention_mask)
        for layer in self.layer:
            hidden_states = layer(hidden_states, None, packing=packing)
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden_states[0, back, None])


class FirstTokenLayer(GradientCheckpointingLayer):
    """A last layer whose output is wanted for the first token of each row: only keys and values see all tokens."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.attention = layer.attention
        self.intermediate = layer.intermediate
        self.output = layer.output
        self.gradient_checkpointing = layer.gradient_checkpointing
        if self.gradient_checkpointing:
            self._gradient_checkpointing_func = layer._gradient_checkpointing_func
        self.train(layer.training)

    def forward(self, hidden_states: Tensor, attention_mask: None, packing: Packing) -> Tensor:
        """Packed tokens (1, tokens, width) to first tokens (1, rows, width)."""
        own, first = self.attention.self, hidden_states[:, packing.firsts]
        query, key, value = own.query(first), own.key(hidden_states), own.value(hidden_states)
        q, k, v = (x.unflatten(-1, (-1, own.attention_head_size)).transpose(1, 2) for x in (query, key, value))
        dropout = own.dropout.p if self.training else 0.0
        attended, _ = unpadded_attention(own, q, k, v, None, own.scaling, dropout, packing=packing)
        first = self.attention.output(attended.flatten(2), first)
        return self.output(self.intermediate(first), first)


def unpadded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float,
    dropout: float = 0.0,
    *,
    packing: Packing,
    **_: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1) of each row to itself.

    Args:
        query: (1, heads, tokens, head width), or (1, heads, rows, head width) where only first tokens ask.
        key, value: (1, heads, tokens, head width), packed.

    Returns:
        (1, tokens or rows, heads, head width).
    """
    first_only = query.shape[2] == len(packing.firsts)
    if len(packing.groups) > GROUPS:
        return _padded_attention(query, key, value, scaling, dropout, packing, first_only), None
    found, row = [], 0
    for start, rows, length in packing.groups:
        own = slice(start, start + rows * length)
        asked = (slice(row, row + rows), 1) if first_only else (own, length)
        attended = _attend(_rows(query, *asked), _rows(key, own, length), _rows(value, own, length), scaling, dropout)
        found.append(attended.transpose(1, 2).flatten(0, 1))
        row += rows
    return torch.cat(found)[None], None


def _padded_attention(
    query: Tensor, key: Tensor, value: Tensor, scaling: float, dropout: float, packing: Packing, first_only: bool
) -> Tensor:
    """Attention alone on padded rows: nothing in it is worth many products of a few rows each."""
    there = packing.mask

    def padded(x: Tensor) -> Tensor:
        rows = x.new_zeros(*there.shape, x.shape[1], x.shape[3])
        rows[there] = x[0].transpose(0, 1)
        return rows.transpose(1, 2)

    q = query[0].transpose(0, 1)[:, :, None] if first_only else padded(query)
    mask = torch.zeros(there.shape, dtype=q.dtype, device=q.device).masked_fill(~there, torch.finfo(q.dtype).min)
    found = _attend(q, padded(key), padded(value), scaling, dropout, mask[:, None, None]).transpose(1, 2)
    return (found[:, 0] if first_only else found[there])[None]


def _attend(q: Tensor, k: Tensor, v: Tensor, scaling: float, dropout: float, mask: Tensor | None = None) -> Tensor:
    """(rows, heads, length, head width); torch's own kernel has no quick dropout on a CPU."""
    if not dropout:
        return functional.scaled_dot_product_attention(q, k, v, mask, scale=scaling)
    weights = torch.matmul(q, k.mT).mul_(scaling)
    weights = functional.softmax(weights if mask is None else weights.add_(mask), dim=-1)
    return dropped_product(weights, v, dropout)


def _rows(x: Tensor, tokens: slice, length: int) -> Tensor:
    """(1, heads, tokens, head width) to (rows, heads, length, head width)."""
    return x[0, :, tokens].unflatten(1, (-1, length)).transpose(0, 1)


def _pack(hidden_states: Tensor, mask: Tensor | None) -> tuple[Tensor, Packing, Tensor]:
    """The tokens (1, tokens, width), how they lie, and where each row of the batch went."""
    rows, longest, _ = hidden_states.shape
    full = torch.full((rows,), longest, device=hidden_states.device)
    lengths, order = (full if mask is None else mask.sum(1)).sort(stable=True)
    kinds, counts = lengths.unique_consecutive(return_counts=True)
    groups, start = [], 0
    for length, count in zip(kinds.tolist(), counts.tolist(), strict=True):
        groups.append((start, count, length))
        start += count * length
    packing = Packing(groups, lengths, lengths.cumsum(0) - lengths)
    hidden_states = hidden_states[order]
    packed = hidden_states.flatten(0, 1) if groups[0][2] == longest else hidden_states[packing.mask]
    return packed[None], packing, order.argsort()


def _keep_mask(attention_mask: Tensor | None = None, **_: Any) -> Tensor | None:
    """The mask of tokens as it came: transformers need not draw it out to all pairs."""
    return attention_mask


AttentionInterface.register(NAME, unpadded_attention)
AttentionMaskInterface.register(NAME, _keep_mask)
