from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

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


def test_an_output_layer_is_cast_once_and_the_embedding_that_it_shares_is_not(tiny_decoder: Path) -> None:
    ids = torch.arange(5, 25)[None]
    found = []
    for trained in (False, True):  # of what is trained all weights stay as they are
        network = AutoModelForCausalLM.from_pretrained(tiny_decoder, dtype=torch.float32).requires_grad_(trained)
        session = Session(network, "bf16-mixed", CPU)
        with session.context(), torch.inference_mode():
            found.append(session.network(input_ids=ids).logits)
        kind = torch.float32 if trained else torch.bfloat16
        assert session.network.lm_head.weight.dtype == kind
        assert session.network.get_input_embeddings().weight.dtype == torch.float32
    assert torch.equal(*found)
