"""An encoder that computes neither padding nor what its head never looks at: the same logits for less work.

Knows the layout that BERT and its descendants share in transformers, and nothing of what they learn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from noria.model.packed_attention import PackedAttention, Packing
from noria.model.padding import is_rearranged
from noria.model.residual_norm import low_type, residual_norm

NAME = "unpadded"
# Layers of self-attention, then two matrices, each with its sum and norm.
FAMILIES = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
OF_FIRST_TOKEN = ("ForSequenceClassification",)  # heads that read the first token alone
OF_ALL_TOKENS = ("ForTokenClassification", "ForQuestionAnswering")


def can_unpad(network: nn.Module) -> bool:
    """Whether this is an encoder of a known family, alone or with a head that reads texts."""
    kind = type(_bare(network))
    if is_rearranged(network):
        return False
    reads = kind.__name__.endswith((*OF_FIRST_TOKEN, *OF_ALL_TOKENS)) or _is_backbone(_bare(network))
    if not kind.__module__.startswith("transformers.") or not reads:
        return False  # code that came with a model may have any layout
    config = _bare(network).config
    return config.model_type in FAMILIES and not config.is_decoder


def unpad(network: nn.Module) -> None:
    """Makes the encoder pack the tokens of a batch, in place. The weights keep their names."""
    assert can_unpad(network)
    backbone: Any = _bare(network).base_model
    if isinstance(backbone.encoder, UnpaddedEncoder):
        return
    backbone.encoder = UnpaddedEncoder(backbone.encoder, type(_bare(network)).__name__.endswith(OF_FIRST_TOKEN))
    backbone.set_attn_implementation(NAME)


def _is_backbone(network: Any) -> bool:
    """Whether it is an encoder without a head."""
    return getattr(network, "base_model", None) is network


def _bare(network: nn.Module) -> Any:
    """The network without the adapter around it."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network  # type: ignore[operator]


class UnpaddedEncoder(nn.Module):
    """Stands in for an encoder: hidden states (rows, length, width) in, and out; or those of the first tokens alone.

    Args:
        encoder: whose layers it takes over.
        firsts: the head reads the first token of each row only, so that the last layer computes no other.
    """

    def __init__(self, encoder: Any, firsts: bool) -> None:
        super().__init__()
        *layers, last = encoder.layer
        self._heads, self._firsts = int(last.attention.self.num_attention_heads), firsts
        end = FirstTokenLayer(last) if firsts else PackedLayer(last)
        self.layer = nn.ModuleList([*(PackedLayer(layer) for layer in layers), end])

    def forward(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        """
        Args:
            attention_mask: (rows, length), rows padded at the right; None: no padding.

        Returns:
            `last_hidden_state`: (rows, length, width), zeros at padding; or (rows, 1, width), of first tokens.
        """
        rows, length, width = hidden_states.shape
        full = torch.full((rows,), length, device=hidden_states.device)
        packing = Packing.of(full if attention_mask is None else attention_mask.sum(1))
        attention = PackedAttention(packing, self._heads)
        places = packing.of_padded(length)
        hidden = hidden_states.flatten(0, 1).index_select(0, places)
        low = hidden.to(low_type(hidden))
        for layer in self.layer:
            hidden, low = layer(hidden, low, attention)
        if self._firsts:
            return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden[:, None])
        real = slice(packing.tokens)
        padded = hidden.new_zeros(rows * length, width).index_copy(0, places[real], hidden[real])
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=padded.view(rows, length, width))


class PackedLayer(GradientCheckpointingLayer):
    """A layer of the encoder over packed tokens."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.attention = layer.attention
        self.intermediate = layer.intermediate
        self.output = layer.output
        self.gradient_checkpointing = layer.gradient_checkpointing
        if self.gradient_checkpointing:
            self._gradient_checkpointing_func = layer._gradient_checkpointing_func
        self.train(layer.training)

    def forward(self, hidden: Tensor, low: Tensor, attention: PackedAttention) -> tuple[Tensor, Tensor]:
        """
        Args:
            hidden: (tokens, width).
            low: the same, in autocast's type.
        """
        return self._block(low, hidden, low, attention)

    def _block(self, asking: Tensor, before: Tensor, low: Tensor, attention: PackedAttention) -> tuple[Tensor, Tensor]:
        """What the asking tokens become, whose states were `before`; `low` are those of all tokens."""
        own = self.attention.self
        attended = attention(
            own.query(asking), own.key(low), own.value(low), own.scaling, own.dropout.p if self.training else 0.0
        )
        between = _half(self.attention.output, attended, before, self.training)
        return _half(self.output, self.intermediate(between[1]), between[0], self.training)


class FirstTokenLayer(PackedLayer):
    """A last layer whose output is wanted for the first token of each row: only keys and values see all tokens."""

    def forward(self, hidden: Tensor, low: Tensor, attention: PackedAttention) -> tuple[Tensor, Tensor]:
        """All tokens (tokens, width) to first tokens (rows, width)."""
        firsts = attention.packing.firsts
        return self._block(low.index_select(0, firsts), hidden.index_select(0, firsts), low, attention)


def _half(output: Any, x: Tensor, before: Tensor, training: bool) -> tuple[Tensor, Tensor]:
    return residual_norm(output.dense(x), before, output.LayerNorm, output.dropout.p if training else 0.0)


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("the layers of an unpadded encoder attend by themselves")


def _keep_mask(attention_mask: Tensor | None = None, **_: Any) -> Tensor | None:
    """The mask of tokens as it came: transformers need not draw it out to all pairs."""
    return attention_mask


AttentionInterface.register(NAME, _refuse)
AttentionMaskInterface.register(NAME, _keep_mask)
