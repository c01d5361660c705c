"""SGD against its updates by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.common.errors import UserError
from noria.optimizer.sgd import sgd


@pytest.mark.parametrize(("nesterov", "second"), [(False, 1.9), (True, 2.71)])
def test_two_steps_by_hand(nesterov: bool, second: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 0.0)
    optimizer = sgd(network, lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.0)
    for _ in range(2):
        network.weight.grad = torch.tensor([[1.0]])
        optimizer.step()
    # Buffers 1 and 1.9; plain steps by the buffer, Nesterov by 1 + 0.9 * buffer.
    first = 1.9 if nesterov else 1.0
    assert float(network.weight.detach()) == pytest.approx(-0.1 * (first + second), abs=1e-6)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(UserError, match=r"optimizer\.nesterov needs optimizer\.momentum"):
        sgd(nn.Linear(1, 1), nesterov=True, momentum=0.0)
