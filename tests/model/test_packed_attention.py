"""Attention over packed rows is that of each row by itself, with its gradients, dropped or not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from noria.model.dropout import STEPS, keep_mask
from noria.model.packed_attention import PackedAttention, Packing

HEADS, WIDTH, SCALING = 2, 6, 0.7
LENGTHS = [[3, 7, 1], [8, 8], [16] * 4, [5], [60, 4], [1] * 64]


def packed(lengths: list[int], seed: int = 0) -> tuple[PackedAttention, list[Tensor]]:
    attention = PackedAttention(Packing.of(torch.tensor(lengths)), HEADS)
    torch.manual_seed(seed)
    return attention, [torch.randn(attention.packing.size, WIDTH, dtype=torch.float64) for _ in range(3)]


def by_itself(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None, scale: float = 1.0) -> Tensor:
    """One row (length, width); keep (heads, asked, length)."""
    q, k, v = (x.unflatten(1, (HEADS, -1)).transpose(0, 1) for x in (q, k, v))
    weights = (q @ k.mT * SCALING).softmax(-1)
    weights = weights if keep is None else weights * keep * scale
    return (weights @ v).transpose(0, 1).flatten(1)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("first_only", [False, True])
def test_each_row_attends_to_itself(lengths: list[int], dropout: float, first_only: bool) -> None:
    attention, (q, k, v) = packed(lengths)
    packing, drop = attention.packing, round(dropout * STEPS)
    q = q[packing.firsts] if first_only else q
    inputs = [x.requires_grad_() for x in (q, k, v)]
    torch.manual_seed(1)
    out = attention(*inputs, SCALING, dropout)
    torch.manual_seed(1)
    asking = 1 if len(q) < packing.size else packing.longest  # where all tokens are first ones there is no difference
    shape = (len(lengths), HEADS, asking, packing.longest)
    keep = -keep_mask(torch.Size(shape), drop).double() if drop else None
    start, wanted = 0, []
    for row, length in enumerate(lengths):
        own = slice(start, start + length)
        asked = slice(row, row + 1) if first_only else own
        kept = None if keep is None else keep[row, :, : asked.stop - asked.start, :length]
        wanted.append(by_itself(q[asked], k[own], v[own], kept, STEPS / (STEPS - drop)))
        start += length
    real = out if first_only else out[: packing.tokens]
    torch.testing.assert_close(real, torch.cat(wanted))
    weights = torch.randn_like(real)
    found = torch.autograd.grad((real * weights).sum(), inputs, retain_graph=True)
    for one, other in zip(found, torch.autograd.grad((torch.cat(wanted) * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other)  # zero for fillers, which no row has


@pytest.mark.parametrize("lengths", LENGTHS)
def test_tokens_come_back(lengths: list[int]) -> None:
    attention, (x, *_) = packed(lengths)
    packing = attention.packing
    assert packing.tokens == sum(lengths) <= packing.size and packing.longest >= max(lengths)
    back = attention.packed(attention.padded(x), x.shape)
    assert torch.equal(back[: packing.tokens], x[: packing.tokens])
