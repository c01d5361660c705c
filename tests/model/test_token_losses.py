"""The loss over a vocabulary in pieces is that of all logits at once, and so are its gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from noria.model import token_losses
from noria.model.token_losses import divergence, divergence_of_likeliest, likeliest, linear_token_losses, row_sums


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


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_divergence_is_that_of_the_formula(temperature: float) -> None:
    """T² · sum of p log(p / q), of probabilities of logits divided by T."""
    torch.manual_seed(0)
    teacher, own = torch.randn(5, 7) * 3, (torch.randn(5, 7) * 3).requires_grad_()
    found = divergence(own, teacher, temperature)
    for row in range(5):
        p, q = ([math.exp(z / temperature) for z in logits[row].tolist()] for logits in (teacher, own.detach()))
        p, q = [one / sum(p) for one in p], [one / sum(q) for one in q]
        wanted = temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        assert float(found[row]) == pytest.approx(wanted, rel=1e-4)
    found.sum().backward()  # by section 2 of the paper: T (q - p)
    gradient = temperature * ((own / temperature).softmax(-1) - (teacher / temperature).softmax(-1))
    torch.testing.assert_close(own.grad, gradient.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_of_the_likeliest_of_all_it_is_the_whole_divergence(temperature: float) -> None:
    torch.manual_seed(0)
    teacher, own = torch.randn(6, 40) * 3, torch.randn(6, 40) * 3
    found = []
    for kept in (None, 40, 400):
        logits = own.clone().requires_grad_()
        if kept is None:
            losses = divergence(logits, teacher, temperature)
        else:
            losses = divergence_of_likeliest(logits, *likeliest(teacher, temperature, kept), temperature)
        losses.sum().backward()
        found.append((losses.detach(), logits.grad))
    for losses, gradient in found[1:]:
        torch.testing.assert_close(losses, found[0][0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(gradient, found[0][1], rtol=1e-4, atol=1e-4)


def test_all_tokens_but_the_likeliest_are_one() -> None:
    torch.manual_seed(0)
    teacher, own = torch.randn(6, 40) * 2, torch.randn(6, 40) * 2
    ids, logs, rest = likeliest(teacher, 1.0, 3)
    p, q = teacher.softmax(-1), own.softmax(-1)
    kept = [torch.cat([x.gather(-1, ids), 1 - x.gather(-1, ids).sum(-1, keepdim=True)], -1) for x in (p, q)]
    wanted = (kept[0] * (kept[0] / kept[1]).log()).sum(-1)
    torch.testing.assert_close(divergence_of_likeliest(own, ids, logs, rest, 1.0), wanted, rtol=1e-4, atol=1e-5)
    assert (wanted < divergence(own, teacher, 1.0)).all(), "what is put together cannot be told apart any more"
