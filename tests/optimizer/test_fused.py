"""The choice of fused kernels, and that they compute the same and can be clipped in mixed precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn
from torch.optim import Optimizer

from noria.common.errors import UserError
from noria.optimizer.adam import adam
from noria.optimizer.adamw import adamw
from noria.optimizer.fused import CPU_TYPES, choose_fused
from noria.optimizer.sgd import sgd

OPTIMIZERS: list[Callable[..., Optimizer]] = [adam, adamw, sgd]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("function", OPTIMIZERS)
def test_by_default_every_value_of_every_type_is_updated(
    function: Callable[..., Optimizer], dtype: torch.dtype
) -> None:
    # 64 values: torch's own fused SGD changes none of them in half precision.
    network = nn.Linear(8, 8, bias=False).to(dtype)
    nn.init.constant_(network.weight, 0.5)
    optimizer = function(network, lr=0.1, weight_decay=0.0)
    assert optimizer.param_groups[0]["fused"] is (True if dtype in CPU_TYPES else None)
    network.weight.grad = torch.ones_like(network.weight)
    optimizer.step()
    assert torch.allclose(network.weight.float(), torch.tensor(0.4), atol=0.01)


def test_fused_sgd_in_half_precision_on_the_cpu_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimizer\.fused=true would learn nothing"):
        sgd(nn.Linear(8, 8).bfloat16(), fused=True)


def groups_on(**kwargs: Any) -> list[dict[str, Any]]:
    return [{"params": [torch.empty(2, 2, **kwargs), torch.empty(2)]}]


def test_elsewhere_torch_chooses() -> None:
    assert choose_fused(groups_on(device="meta"), None) is None
    assert choose_fused(groups_on(dtype=torch.complex64), None) is None
    assert choose_fused(groups_on(), None) is True


def test_what_is_asked_for_is_kept() -> None:
    assert choose_fused(groups_on(), False) is False
    assert choose_fused(groups_on(device="meta"), True) is True


@pytest.mark.parametrize("function", OPTIMIZERS)
def test_fused_and_plain_agree(function: Callable[..., Optimizer]) -> None:
    results = []
    for fused in (True, False):
        torch.manual_seed(0)
        network = nn.Linear(5, 5)
        optimizer = function(network, lr=0.01, weight_decay=0.1, fused=fused)
        for _ in range(10):
            optimizer.zero_grad()
            network(torch.randn(8, 5)).square().mean().backward()
            optimizer.step()
        results.append(network.weight.detach().clone())
    assert torch.allclose(results[0], results[1], atol=1e-6)


@pytest.mark.parametrize("function", OPTIMIZERS)
def test_gradients_can_be_clipped_in_mixed_precision(function: Callable[..., Optimizer]) -> None:
    network = nn.Linear(3, 1, bias=False)
    optimizer = function(network, lr=0.1, fused=True)
    network.weight.grad = torch.full((1, 3), 100.0)
    MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, 1.0)
    assert float(network.weight.grad.norm()) == pytest.approx(1.0, abs=1e-4)


def test_a_gradient_scaler_unscales_a_fused_optimizer_once() -> None:
    network = nn.Linear(3, 1, bias=False)
    before = network.weight.detach().clone()
    optimizer = sgd(network, lr=0.5, momentum=0.0, weight_decay=0.0, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale(network(torch.ones(1, 3)).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert torch.allclose(network.weight, before - 0.5)  # the gradient is 1 everywhere

    network.weight.grad = torch.full((1, 3), float("inf"))
    after = network.weight.detach().clone()
    scaler.step(optimizer)
    assert torch.equal(network.weight, after)  # a step with an overflow is skipped
