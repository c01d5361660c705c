"""The loss over a vocabulary in pieces is that of all logits at once, and so are its gradients."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from noria.model import token_losses
from noria.model.token_losses import linear_token_losses, row_sums


@pytest.fixture(params=[1 << 21, 64], ids=["one piece", "many pieces"])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_losses, "CHUNK", request.param)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("even", [True, False], ids=["alike", "by weight"])
def test_it_is_cross_entropy_of_the_logits(chunk: None, smoothing: float, even: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(13, 8, dtype=torch.float64), torch.randn(30, 8, dtype=torch.float64)
    targets, counts = torch.randint(0, 30, (13,)), torch.ones(13) if even else torch.rand(13)
    found = []
    for fused in (True, False):
        own, table = x.clone().requires_grad_(), weight.clone().requires_grad_()
        if fused:
            losses, plain = linear_token_losses(own, table, targets, smoothing)
        else:
            losses = F.cross_entropy(own @ table.T, targets, reduction="none", label_smoothing=smoothing)
            plain = F.cross_entropy(own @ table.T, targets, reduction="none")
        (losses * counts).sum().backward()
        found.append((losses, plain, own.grad, table.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_in_bf16_it_is_as_near_as_torchs_own(chunk: None) -> None:
    torch.manual_seed(0)
    x, weight, targets = torch.randn(40, 16), torch.randn(50, 16), torch.randint(0, 50, (40,))
    exact = F.cross_entropy(x @ weight.T, targets, reduction="none")
    with torch.autocast("cpu", torch.bfloat16):
        ours, _ = linear_token_losses(x.requires_grad_(), weight, targets)
        theirs = F.cross_entropy(F.linear(x, weight).float(), targets, reduction="none")
    assert (ours - exact).abs().max() < 2 * (theirs - exact).abs().max()


def test_nothing_is_kept_where_nothing_is_learnt() -> None:
    losses, plain = linear_token_losses(torch.randn(3, 4), torch.randn(5, 4), torch.tensor([0, 1, 2]), 0.1)
    assert not losses.requires_grad and losses.shape == plain.shape == (3,)
    losses, _ = linear_token_losses(torch.randn(0, 4).requires_grad_(), torch.randn(5, 4), torch.empty(0).long())
    losses.sum().backward()


def test_sums_of_rows() -> None:
    there = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    assert row_sums(torch.tensor([1.0, 2.0, 4.0]), there).tolist() == [3, 0, 4]
