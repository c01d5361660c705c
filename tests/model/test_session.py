from __future__ import annotations

import pytest
import torch
from torch import nn

from noria.model.session import Session
from noria.trainer.device import pick_device

CPU = torch.device("cpu")


def test_the_device_follows_the_accelerator() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    ("precision", "weights", "outputs"),
    [
        ("32-true", torch.float32, torch.float32),
        ("bf16-true", torch.bfloat16, torch.bfloat16),
        ("bf16-mixed", torch.float32, torch.bfloat16),
        ("16-mixed", torch.float32, torch.float16),
    ],
)
def test_the_precision_of_weights_and_of_what_is_computed(
    precision: str, weights: torch.dtype, outputs: torch.dtype
) -> None:
    session = Session(nn.Linear(2, 2), precision, CPU)
    network = session.network
    assert not network.training and network.weight.dtype == weights
    with session.context():
        assert network(torch.ones(1, 2, dtype=weights)).dtype == outputs
