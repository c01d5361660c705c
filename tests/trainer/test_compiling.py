"""A compiled network is kept where it is quicker; what cannot be compiled runs as it is; a choice is made once."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from noria.trainer.compiling import compile_network, compiling_pays, remembered

BATCHES = [{"x": torch.ones(2, 3)}, {"x": torch.ones(2, 5)}]


class Waits(nn.Linear):
    """A layer that takes a known time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(1, 1)
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        torch.rand(1)
        return super().forward(x[..., :1])


def step(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return network(batch["x"]).sum()


@pytest.mark.parametrize(("plain", "compiled"), [(0.1, 0.001), (0.001, 0.1)])
def test_the_quicker_one_is_chosen(plain: float, compiled: float) -> None:
    networks, state = (Waits(plain), Waits(compiled)), torch.get_rng_state()
    found = compiling_pays(*networks, BATCHES, step, nullcontext)
    assert found["compiled"] is (compiled < plain)
    assert found["seconds"]["plain"] >= 2 * plain and found["seconds"]["compiled"] >= 2 * compiled
    assert "s for 2 steps compiled" in found["why"]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for network in networks for parameter in network.parameters())


def test_what_cannot_be_compiled_runs_as_it_is() -> None:
    class Broken(Waits):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no compiler is here")

    found = compiling_pays(Waits(0), Broken(0), BATCHES, step, nullcontext)
    assert found["compiled"] is False and "no compiler is here" in found["why"]
    with pytest.raises(RuntimeError, match="no compiler is here"):  # a fault of the network itself is no such thing
        compiling_pays(Broken(0), Waits(0), BATCHES, step, nullcontext)


def test_a_choice_is_made_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def choose() -> dict[str, Any]:
        asked.append(1)
        return {"compiled": True, "why": "quicker"}

    path = tmp_path / "compile" / "key.json"
    first, second = remembered(path, choose), remembered(path, choose)
    assert first == second == {"compiled": True, "why": "quicker"} and len(asked) == 1
    path.write_text("{")
    assert remembered(path, choose) == first and len(asked) == 2
    assert json.loads(path.read_text()) == first


def test_compiling_keeps_the_names_of_the_weights() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    compile_network(network)
    assert list(network.state_dict()) == ["0.weight", "0.bias"]
