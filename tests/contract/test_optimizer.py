"""Every optimizer YAML through one suite: it builds, learns, resumes to the bit, and lives through a fit."""

from __future__ import annotations

import importlib
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.optim import Optimizer

from noria.common.errors import UserError

GROUP = "optimizer"
ROOT = Path(__file__).resolve().parents[2]

SPECIAL = {"adafactor": ["optimizer.lr=1e-2"], "sgd": ["optimizer.lr=1e-1"]}  # a rate that suits it


def test_the_yamls_are_found(found: list[str]) -> None:
    files = {path.stem for path in (ROOT / "src/noria/optimizer").glob("*.py")}
    assert set(found) == files - {"__init__", "groups", "fused"}


def test_a_fit_with_it(life: Callable[..., dict[str, Any]], choice: str) -> None:
    life(f"optimizer={choice}", *SPECIAL.get(choice, []), "stage.test=false")


class Network(nn.Module):
    """Two blocks with a head, under the names that layer_decay looks for."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embeddings = nn.Embedding(10, 6)
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)) for _ in range(2)])
        self.head = nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.embeddings(ids)
        for layer in self.layers:
            hidden = hidden + layer(hidden).tanh()
        return self.head(hidden)


def build(choice: str, network: nn.Module, **changes: Any) -> Optimizer:
    options = yaml.safe_load((ROOT / f"conf/optimizer/{choice}.yaml").read_text())
    module, name = options.pop("_target_").rsplit(".", 1)
    function = getattr(importlib.import_module(module), name)
    keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert set(options) <= {parameter.name for parameter in keywords}
    return function(network, **(options | changes))


def train(network: nn.Module, optimizer: Optimizer, steps: int, start: int = 0) -> list[float]:
    losses = []
    for step in range(start, start + steps):
        generator = torch.Generator().manual_seed(step)
        ids = torch.randint(0, 10, (16,), generator=generator)
        loss = nn.functional.cross_entropy(network(ids), ids % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def test_it_learns(choice: str) -> None:
    network = Network()
    losses = train(network, build(choice, network, lr=0.05), 40)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_its_groups_carry_rate_decay_and_name(choice: str) -> None:
    optimizer = build(choice, Network(), lr=0.2, weight_decay=0.3, layer_decay=0.5)
    found = {g["name"]: (g["lr"], g["weight_decay"]) for g in optimizer.param_groups}
    assert found["head.decay"] == (0.2, 0.3)
    assert found["head.no_decay"] == (0.2, 0.0)
    assert found["embeddings.decay"] == (pytest.approx(0.2 * 0.5**3), 0.3)


def test_resuming_from_a_checkpoint_changes_nothing(choice: str) -> None:
    network = Network()
    optimizer = build(choice, network, layer_decay=0.9)
    train(network, optimizer, 5)
    file = io.BytesIO()
    torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict()}, file)
    straight = train(network, optimizer, 5, start=5)

    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = Network()
    with torch.no_grad():
        resumed.head.weight.zero_()
    resumed.load_state_dict(saved["network"])
    again = build(choice, resumed, layer_decay=0.9)
    again.load_state_dict(saved["optimizer"])
    assert train(resumed, again, 5, start=5) == straight
    for (name, one), two in zip(network.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two), name
    assert [g["name"] for g in again.param_groups] == [g["name"] for g in optimizer.param_groups]


def test_a_frozen_network_is_refused(choice: str) -> None:
    with pytest.raises(UserError, match="no trainable parameter"):
        build(choice, Network().requires_grad_(False))
