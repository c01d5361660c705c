"""The piece is what it stands for: dropout, sum and norm, with their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.model.dropout import cheap_dropout
from noria.model.residual_norm import residual_norm


def parts(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, nn.LayerNorm]:
    torch.manual_seed(0)
    norm = nn.LayerNorm(8, dtype=dtype)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return torch.randn(5, 8, dtype=dtype), torch.randn(5, 8, dtype=dtype), norm


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_it_is_the_norm_of_the_sum(p: float) -> None:
    out, before, norm = parts()
    inputs = [out.requires_grad_(), before.requires_grad_(), norm.weight, norm.bias]
    torch.manual_seed(1)
    found, low = residual_norm(out, before, norm, p)
    torch.manual_seed(1)
    wanted = norm(cheap_dropout(out, p) + before)
    assert low is found
    torch.testing.assert_close(found, wanted)
    weights = torch.randn_like(found)
    pair = [torch.autograd.grad((made * weights).sum(), inputs) for made in (found, wanted)]
    for one, other in zip(*pair, strict=True):
        torch.testing.assert_close(one, other)


def test_under_autocast_both_types_come_out_and_both_gradients_count() -> None:
    out, before, norm = parts(torch.float32)
    leaf, before = out.to(torch.bfloat16).requires_grad_(), before.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        full, low = residual_norm(leaf, before, norm, 0.0)
    assert (full.dtype, low.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(full.to(torch.bfloat16), low)
    both = torch.autograd.grad((full + low.float()).sum() + (full**2).sum(), before, retain_graph=True)[0]
    wanted = torch.autograd.grad(2 * full.sum() + (full**2).sum(), before)[0]
    torch.testing.assert_close(both, wanted, atol=1e-2, rtol=1e-2)


def test_what_is_frozen_has_no_gradient() -> None:
    out, before, norm = parts()
    norm.requires_grad_(False)
    residual_norm(out.requires_grad_(), before, norm, 0.1)[0].sum().backward()
    assert norm.weight.grad is None and out.grad is not None
