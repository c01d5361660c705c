"""The loss of a decoder: transformers' own, for any padding, and divided by what counts."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from noria.task.causal_lm.kind import row_losses


@pytest.fixture(scope="module")
def network() -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, **sizes)).eval()


def test_the_losses_of_rows_are_those_of_transformers(network: LlamaForCausalLM) -> None:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 40, (5, 12), generator=generator)
    lengths = torch.tensor([12, 3, 7, 2, 12])
    mask = (torch.arange(12) < lengths[:, None]).long()
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, 0] = -100
    labels[4, :9] = -100  # an answer at the end of a conversation
    with torch.no_grad():
        sums, counts = row_losses(network(input_ids=ids, attention_mask=mask).logits, labels)
        for row in range(5):
            one = slice(row, row + 1), slice(0, int(lengths[row]))
            alone = network(input_ids=ids[one], labels=labels[one])
            assert counts[row] == (labels[row] != -100).sum()
            assert float(sums[row] / counts[row]) == pytest.approx(float(alone.loss), rel=1e-5)


def test_a_row_without_targets_counts_nothing() -> None:
    sums, counts = row_losses(torch.randn(2, 4, 7), torch.full((2, 4), -100))
    assert sums.tolist() == [0, 0] and counts.tolist() == [0, 0]


def test_what_stands_before_a_target_gets_its_gradient() -> None:
    logits = torch.zeros(1, 3, 5, requires_grad=True)
    sums, _ = row_losses(logits, torch.tensor([[-100, -100, 2]]))
    sums.sum().backward()
    assert logits.grad is not None and logits.grad[0, 1].abs().sum() > 0
    assert logits.grad[0, 0].abs().sum() == 0 and logits.grad[0, 2].abs().sum() == 0
