"""Embeddings and the blocks above them: an encoder, or a decoder."""

from __future__ import annotations

import math

from torch import Tensor, nn

from noria.model.dropout import cheap_dropout
from noria.model.residual_norm import low_type
from noria.model.transformer.attention import causal_mask, to_be_added
from noria.model.transformer.block import Block, make_norm
from noria.model.transformer.positions import Positions
from noria.model.transformer.shape import Shape


class Stack(nn.Module):
    """Token embeddings and positions, blocks, and where norms come first a last norm.

    Args:
        decodes: it is a decoder: no place sees those after it.
        looks: its blocks look at an encoder's output.
    """

    def __init__(self, shape: Shape, embeddings: nn.Embedding, decodes: bool, looks: bool) -> None:
        super().__init__()
        self.shape, self.decodes = shape, decodes
        self.embeddings = embeddings
        learned = shape.positions == "learned"
        self.positions = (
            None if shape.positions == "rotary" else Positions(shape.max_position_embeddings, shape.d_model, learned)
        )
        self.embeddings_norm = make_norm(shape) if shape.norms_embeddings else None
        count = shape.num_decoder_layers if decodes else shape.num_encoder_layers
        self.layers = nn.ModuleList(Block(shape, looks) for _ in range(count))
        self.last_norm = make_norm(shape) if shape.norm_first else None

    def embedded(self, tokens: Tensor, first: int = 0) -> Tensor:
        """The tokens' vectors (batch, places, width); the first of them stands at place `first`."""
        x = self.embeddings(tokens)
        if self.shape.scales_embeddings:
            x = x * math.sqrt(self.shape.d_model)
        if self.positions is not None:
            x = x + self.positions(first, tokens.shape[1])
        if self.embeddings_norm is not None:
            x = self.embeddings_norm(x)
        return cheap_dropout(x, self.shape.dropout, self.training)

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor | None = None,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """What the stack says of each place: (batch, places, width).

        Args:
            tokens: (batch, places).
            mask: (batch, places), true where a token is no padding; a decoder needs none where rows are padded at the
                right, for no place sees what comes after it.
            memory: (batch, others, width), with its mask (batch, others).
        """
        x = self.embedded(tokens)
        low = low_type(x)
        seen = None if mask is None else mask.bool()[:, None]
        if self.decodes:
            causal = causal_mask(tokens.shape[1], tokens.device)[None]
            seen = causal if seen is None else seen & causal
        seen = None if seen is None else to_be_added(seen, low)
        others = None if memory_mask is None else to_be_added(memory_mask.bool()[:, None], low)
        for layer in self.layers:
            x = layer(x, seen, memory, others)
        return x if self.last_norm is None else self.last_norm(x)
