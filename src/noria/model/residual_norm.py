"""The sum, dropout and norm that end each half of a Transformer's block, in one piece. Knows no layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from noria.model.dropout import STEPS, cheap_dropout, drops_cheaply, keep_mask, masked, scale_of


def residual_norm(out: Tensor, before: Tensor, norm: nn.LayerNorm, dropout: float) -> tuple[Tensor, Tensor]:
    """`norm(dropout(out) + before)` (Vaswani et al. 2017, sections 3.1 and 5.4), and the same in autocast's type.

    The sum and the norm are made in the type of `before`; what follows finds what it multiplies cast once.

    Args:
        out: (tokens, width), of a linear layer.
        before: (tokens, width), what went into the half of the block.
        dropout: the probability of dropping an element of `out`.
    """
    drop, kind = round(dropout * STEPS), out.device.type
    low = low_type(before)
    if kind != "cpu" or (drop and not drops_cheaply(out, drop)):
        full = norm(cheap_dropout(out, dropout) + before)
        return full, full.to(low)
    with torch.autocast(kind, enabled=False):
        full, cast = _ResidualNorm.apply(out, before, norm.weight, norm.bias, norm.eps, drop, low)
    return full, full if cast is None else cast


def low_type(x: Tensor) -> torch.dtype:
    """In which type x is multiplied here: autocast's, or its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _ResidualNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, out: Tensor, before: Tensor, weight: Tensor, bias: Tensor, eps: float, drop: int, low: torch.dtype
    ) -> tuple[Tensor, Tensor | None]:
        keep = keep_mask(out.shape, drop) if drop else None
        total = torch.add(before, out if keep is None else masked(out, keep), alpha=scale_of(drop))
        full, mean, rstd = torch.native_layer_norm(total, weight.shape, weight, bias, eps)
        ctx.save_for_backward(total, mean, rstd, weight, bias, keep)
        ctx.scale, ctx.type = scale_of(drop), out.dtype
        ctx.set_materialize_grads(False)
        return full, None if low == full.dtype else full.to(low)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_full: Tensor | None, of_cast: Tensor | None) -> tuple[Tensor | None, ...]:
        total, mean, rstd, weight, bias, keep = ctx.saved_tensors
        if of_full is None or of_cast is None:
            gradient = of_full if of_cast is None else of_cast.to(total.dtype)
        else:
            gradient = of_full + of_cast
        if gradient is None:
            return (None,) * 7
        wanted = [True, *ctx.needs_input_grad[2:4]]
        of_total, of_weight, of_bias = torch.ops.aten.native_layer_norm_backward(
            gradient, total, weight.shape, mean, rstd, weight, bias, wanted
        )
        of_out = of_total.to(ctx.type) if keep is None else masked((of_total * ctx.scale).to(ctx.type), keep)
        return of_out, of_total, of_weight, of_bias, None, None, None
