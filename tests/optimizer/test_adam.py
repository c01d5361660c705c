"""Adam against its update by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.common.errors import UserError
from noria.optimizer.adam import adam


def test_weight_decay_goes_through_the_gradient() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 2.0)
    optimizer = adam(network, lr=0.1, weight_decay=0.5, eps=1e-8)
    network.weight.grad = torch.tensor([[-3.0]])
    optimizer.step()
    # The penalised gradient is -3 + 0.5 * 2 = -2, and the first step is lr times its sign.
    assert float(network.weight.detach()) == pytest.approx(2.1, abs=1e-6)


def test_betas_are_checked() -> None:
    with pytest.raises(UserError, match=r"optimizer\.betas"):
        adam(nn.Linear(1, 1), betas=[0.9])
