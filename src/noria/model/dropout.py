"""Dropout whose random numbers cost little on a CPU. Knows nothing of the network that it stands in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

STEPS = 1 << 16  # a rate is rounded to 1/65536: 0.1 becomes 0.100006
INTEGERS = {torch.bfloat16: torch.int16, torch.float16: torch.int16, torch.float32: torch.int32}
INTEGERS |= {torch.float64: torch.int64}  # of the same width
_steps = torch.empty(0, dtype=torch.int64)


def cheap_dropout(x: Tensor, p: float, training: bool = True) -> Tensor:
    """Dropout (Srivastava et al. 2014): zeros each element with probability p and scales the rest by 1 / (1 - p).

    torch draws one 64-bit number for each element on a CPU, on one thread; here each is cut into four, and they are
    made of one draw of torch's own generator, so that a seed decides them and a checkpoint restores them. Elsewhere,
    and inside a compiled graph, it is torch's own dropout, which draws them in the same kernel.
    """
    drop = round(p * STEPS)
    if not training or drop == 0:
        return x
    if not drops_cheaply(x, drop):
        return functional.dropout(x, p)
    return _CheapDropout.apply(x, drop)


def drops_cheaply(x: Tensor, drop: int) -> bool:
    """Whether `keep_mask` and `masked` are the way to drop from x."""
    plain = x.device.type == "cpu" and x.dtype in INTEGERS and not torch.compiler.is_compiling()
    return plain and 0 < drop < STEPS


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
        keep = keep_mask(x.shape, drop)
        ctx.save_for_backward(keep)
        ctx.scale = scale_of(drop)
        return masked(x, keep).mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return masked(gradient, keep).mul_(ctx.scale), None


def scale_of(drop: int) -> float:
    """What is kept is multiplied by: that of the rounded rate, so that the mean stays."""
    return STEPS / (STEPS - drop)


def keep_mask(shape: torch.Size, drop: int) -> Tensor:
    """Which elements stay, int16 of that shape: all bits where one does, none where it is dropped.

    Args:
        drop: in 65536ths, above 0 and below all of them.
    """
    count, least = shape.numel(), STEPS // 2 - drop
    bits = random_words(-(-count // 4)).view(torch.int16)[:count]
    return bits.clamp_(least - 1, least).sub_(least).view(shape)  # -1 below `least`, 0 from there on


def random_words(count: int) -> Tensor:
    """Random bits, int64: SplitMix64 (Steele, Lea and Flood 2014, Fast Splittable Pseudorandom Number Generators,
    figure 16) from a start that torch's generator draws. Whole tensors at a time, hence on all threads, and with the
    same result on any number of them; torch's own generator draws one number after the other on one.
    """
    words = _weyl(count) + torch.empty((), dtype=torch.int64).random_(-(2**63), None)
    shifted = torch.empty_like(words)
    for shift, factor in ((30, -0x40A7B892E31B1A47), (27, -0x6B2FB644ECCEEE15), (31, 1)):
        torch.bitwise_right_shift(words, shift, out=shifted)
        words.bitwise_xor_(shifted.bitwise_and_((1 << 64 - shift) - 1))  # the shift carries the sign down
        if factor != 1:
            words.mul_(factor)
    return words


def _weyl(count: int) -> Tensor:
    """0, g, 2g … modulo 2 ** 64, of the generator's odd constant; kept, as long as the longest so far."""
    global _steps
    if len(_steps) < count:
        _steps = torch.arange(count) * -0x61C8864680B583EB
    return _steps[:count]


def masked(x: Tensor, keep: Tensor) -> Tensor:
    """x where it stays, else zero, not scaled: a bitwise and costs a tenth of a product."""
    return x.view(INTEGERS[x.dtype]).bitwise_and(keep).view(x.dtype)
