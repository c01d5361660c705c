"""AdamW against its update by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.common.errors import UserError
from noria.optimizer.adamw import adamw


def test_first_step_by_hand() -> None:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 2.0)
    nn.init.constant_(network.bias, 2.0)
    optimizer = adamw(network, lr=0.1, weight_decay=0.5, betas=[0.8, 0.9], eps=1e-6)
    network.weight.grad, network.bias.grad = torch.tensor([[3.0]]), torch.tensor([-3.0])
    optimizer.step()
    # Corrected moments are g and g^2 in the first step: w (1 - lr decay) - lr g / (|g| + eps).
    assert float(network.weight.detach()) == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1, abs=1e-6)
    assert float(network.bias.detach()) == pytest.approx(2.0 + 0.1, abs=1e-6)  # a bias does not decay


@pytest.mark.parametrize("betas", [[0.9], [0.9, 0.99, 0.999], [0.9, 1.0], [-0.1, 0.9]])
def test_betas_must_be_two_shares(betas: list[float]) -> None:
    with pytest.raises(UserError, match=r"optimizer\.betas must be two numbers in \[0, 1\)"):
        adamw(nn.Linear(1, 1), betas=betas)
