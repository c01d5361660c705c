"""Adafactor: its first step by hand, and the size of its state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.optimizer.adafactor import adafactor


def test_the_first_step_is_relative_to_the_parameter() -> None:
    network = nn.Linear(4, 4, bias=False)
    nn.init.constant_(network.weight, 2.0)
    optimizer = adafactor(network, lr=0.01, weight_decay=0.0)
    network.weight.grad = torch.full((4, 4), 7.0)
    optimizer.step()
    # An even gradient is normalised to 1: the step is lr times the parameter's root mean square.
    assert network.weight.detach() == pytest.approx(torch.full((4, 4), 2.0 - 0.01 * 2.0).numpy(), abs=1e-6)


def test_its_state_is_a_row_and_a_column() -> None:
    network = nn.Linear(64, 32, bias=False)
    optimizer = adafactor(network)
    network.weight.grad = torch.randn(32, 64)
    optimizer.step()
    assert sum(value.numel() for value in optimizer.state[network.weight].values()) == 32 + 64 + 1
