"""One block: attention and feed-forward layers, each with its residual sum and norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from noria.model.dropout import cheap_dropout
from noria.model.residual_norm import residual_norm
from noria.model.transformer.attention import MultiHeadAttention
from noria.model.transformer.feed_forward import FeedForward, SwiGLU
from noria.model.transformer.positions import Rotary
from noria.model.transformer.shape import Shape

EPSILON = {"layer": 1e-5, "rms": 1e-6}


def make_norm(shape: Shape) -> nn.Module:
    """(x - mean) / √(variance + ε) · g + b (Ba et al. 2016, equation 4), or x / √(mean of squares + ε) · g (Zhang and
    Sennrich 2019, equation 4), over the width."""
    made = nn.LayerNorm if shape.norm == "layer" else nn.RMSNorm
    return made(shape.d_model, eps=EPSILON[shape.norm])


class Residual(nn.Module):
    """x + layer(norm(x)) where norms come first, else norm(x + layer(x)); `layer` is given when it is called."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = make_norm(shape)
        self.norm_first, self.dropout = shape.norm_first, shape.dropout

    def before(self, x: Tensor) -> Tensor:
        """What the layer reads."""
        return self.norm(x) if self.norm_first else x

    def after(self, x: Tensor, out: Tensor) -> Tensor:
        """The sum of x and of what the layer made of it."""
        dropout = self.dropout if self.training else 0.0
        if self.norm_first:
            return x + cheap_dropout(out, dropout)
        if isinstance(self.norm, nn.LayerNorm) and torch.is_grad_enabled():
            return residual_norm(out, x, self.norm, dropout)[0]
        return self.norm(x + cheap_dropout(out, dropout))


class Block(nn.Module):
    """A block of an encoder, or of a decoder, which may look at an encoder's output.

    The layers are chained: the feed-forward layer reads what attention to the encoder gives, which reads what
    self-attention gives (Vaswani et al. 2017, figure 1). Formulas that add the two attentions describe another network.

    Args:
        looks: it looks at an encoder's output.
    """

    def __init__(self, shape: Shape, looks: bool) -> None:
        super().__init__()
        sizes = (shape.d_model, shape.num_heads, shape.attention_dropout)
        llama = shape.activation == "swiglu"
        rotary = Rotary(shape.d_model // shape.num_heads) if shape.positions == "rotary" else None
        self.attention = MultiHeadAttention(*sizes, bias=not llama, rotary=rotary)
        self.attention_residual = Residual(shape)
        self.cross = MultiHeadAttention(*sizes, cross=True) if looks else None
        self.cross_residual = Residual(shape) if looks else None
        self.feed_forward: nn.Module = (
            SwiGLU(shape.d_model, shape.d_ff)
            if llama
            else FeedForward(shape.d_model, shape.d_ff, shape.activation, shape.activation_dropout)
        )
        self.feed_forward_residual = Residual(shape)

    def forward(
        self, x: Tensor, mask: Tensor | None, memory: Tensor | None = None, memory_mask: Tensor | None = None
    ) -> Tensor:
        """(batch, places, width) to the same.

        Args:
            mask: (batch, 1 or places, places), of self-attention, as `attention` takes it.
            memory: (batch, others, width), an encoder's output, with its mask (batch, 1, others).
        """
        residual = self.attention_residual
        x = residual.after(x, self.attention(residual.before(x), mask=mask))
        if self.cross is not None:
            assert self.cross_residual is not None
            residual = self.cross_residual
            x = residual.after(x, self.cross(residual.before(x), memory, memory_mask))
        residual = self.feed_forward_residual
        return residual.after(x, self.feed_forward(residual.before(x)))
