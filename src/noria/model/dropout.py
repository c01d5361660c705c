"""Dropout whose random numbers cost little on a CPU. Knows nothing of the network that it stands in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

STEPS = 1 << 16  # a rate is rounded to 1/65536: 0.1 becomes 0.100006


def cheap_dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Dropout (Srivastava et al. 2014): zeros each element with probability p and scales the rest by 1 / (1 - p).

    torch draws one 64-bit number for each element on a CPU; here each draw is cut into four. The numbers come from
    torch's own generator, so a seed decides them and a checkpoint restores them. Elsewhere, and inside a compiled
    graph, it is torch's own dropout, which draws them in the same kernel.
    """
    drop = round(p * STEPS)
    if not training or drop == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < drop < STEPS:
        return functional.dropout(x, p)
    return _CheapDropout.apply(x, drop)


def dropped_product(weights: Tensor, values: Tensor, p: float) -> Tensor:
    """`cheap_dropout(weights, p) @ values`, of attention in training: what was dropped is found anew in the backward.

    That holds one tensor of all pairs of tokens where two would be, for one more pass over it.

    Args:
        weights: (..., asked, length).
        values: (..., length, head width), of the type of the result.
    """
    drop = round(p * STEPS)
    if weights.device.type != "cpu" or torch.compiler.is_compiling() or not 0 < drop < STEPS:
        return torch.matmul(cheap_dropout(weights, p), values)
    return _DroppedProduct.apply(weights, values, drop)


class CheapDropout(nn.Dropout):
    """`nn.Dropout` by `cheap_dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        return cheap_dropout(input, self.p, self.training)


def make_dropout_cheap(network: nn.Module) -> None:
    """Puts a `CheapDropout` in the place of each `nn.Dropout`. Neither has weights: no key changes its name."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Dropout and not child.inplace:
                setattr(module, name, CheapDropout(child.p).train(child.training))


class _CheapDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, drop: int) -> Tensor:
        keep = _keep(x, drop)
        ctx.save_for_backward(keep)
        ctx.drop = drop
        return _masked(x, keep, drop)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return _masked(gradient, keep, ctx.drop), None


class _DroppedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, values: Tensor, drop: int) -> Tensor:
        keep = _keep(weights, drop)
        ctx.save_for_backward(weights, values, keep)
        ctx.drop = drop
        return torch.matmul(_masked(weights, keep, drop).to(values.dtype), values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weights, values, keep = ctx.saved_tensors
        of_weights = _masked(torch.matmul(gradient, values.mT).to(weights.dtype), keep, ctx.drop)
        of_values = torch.matmul(_masked(weights, keep, ctx.drop).to(values.dtype).mT, gradient)
        return of_weights, of_values, None


def _keep(x: Tensor, drop: int) -> Tensor:
    """Which elements stay, bool in the shape of x."""
    count = x.numel()
    bits = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    return (bits >= drop - STEPS // 2).view(x.shape)


def _masked(x: Tensor, keep: Tensor, drop: int) -> Tensor:
    """x * keep * scale in one pass; the scale is that of the rounded rate, so that the mean stays."""
    return torch.ops.aten.native_dropout_backward(x, keep, STEPS / (STEPS - drop))
