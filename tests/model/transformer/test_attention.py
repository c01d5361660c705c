"""Attention against torch's own kernels, and against numbers that were worked out by hand."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from noria.model.transformer.attention import MultiHeadAttention, attention, attention_weights, causal_mask
from noria.model.transformer.positions import Rotary, sinusoids

CLOSE = {torch.float64: 1e-10, torch.float32: 1e-5}


def test_an_example_worked_out_by_hand():
    """Two places, d_k = 2: the scores are 1/√2 and 0, and e^(1/√2) = 2.02811 over 2.02811 + 1 is 0.66976."""
    query = key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    value = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    weights = attention_weights(query, key)
    assert weights.tolist() == [[pytest.approx(0.66976, abs=1e-5), pytest.approx(0.33024, abs=1e-5)],
                                [pytest.approx(0.33024, abs=1e-5), pytest.approx(0.66976, abs=1e-5)]]  # fmt: skip
    found = attention(query, key, value)
    assert torch.allclose(found, torch.tensor([[1.66048, 2.66048], [2.33952, 3.33952]]), atol=1e-5)
    # the first place sees itself alone
    assert torch.allclose(attention(query, key, value, causal_mask(2))[0], value[0])


def test_without_the_softmax_the_weights_are_none():
    query = torch.tensor([[1.0, -1.0]])
    key = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    raw = query @ key.T / math.sqrt(2)
    assert (raw < 0).any() and not torch.allclose(raw.sum(), torch.tensor(1.0))
    assert torch.allclose(attention_weights(query, key).sum(-1), torch.ones(1))


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("mask", ["none", "causal", "padding", "both"])
def test_the_formula_is_torchs_kernel(dtype, mask):
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 4, 7, 16, dtype=dtype) for _ in range(3))
    there = torch.arange(7) < torch.tensor([7, 4, 1])[:, None]  # (batch, others)
    seen = {"none": None, "causal": causal_mask(7), "padding": there[:, None, None]}
    seen["both"] = seen["causal"] & seen["padding"]
    expected = scaled_dot_product_attention(query, key, value, seen[mask])
    assert (attention(query, key, value, seen[mask]) - expected).abs().max() < CLOSE[dtype]


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("cross", [False, True])
def test_many_heads_are_torchs_module(dtype, cross):
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(32, 4, cross=cross), nn.MultiheadAttention(32, 4, batch_first=True)
    weight, bias = theirs.in_proj_weight.detach(), torch.randn(96)
    with torch.no_grad():
        theirs.in_proj_bias.copy_(bias)
        if cross:
            ours.query.weight.copy_(weight[:32]), ours.query.bias.copy_(bias[:32])
            ours.memory.weight.copy_(weight[32:]), ours.memory.bias.copy_(bias[32:])
        else:
            ours.inputs.weight.copy_(weight), ours.inputs.bias.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())
    ours, theirs = ours.to(dtype), theirs.to(dtype)
    x, other = torch.randn(3, 5, 32, dtype=dtype), torch.randn(3, 7, 32, dtype=dtype)
    memory = other if cross else x
    there = torch.arange(memory.shape[1]) < torch.tensor([memory.shape[1], 4, 1])[:, None]
    expected, weights = theirs(x, memory, memory, key_padding_mask=~there, average_attn_weights=False)
    found = ours(x, memory if cross else None, there[:, None])
    assert (found - expected).abs().max() < CLOSE[dtype]
    assert (ours.weights(x, memory if cross else None, there[:, None]) - weights).abs().max() < CLOSE[dtype]


def test_sinusoids_are_those_of_the_paper_in_either_order():
    table, mixed = sinusoids(50, 8), sinusoids(50, 8, "interleaved")
    for place, pair in ((0, 0), (7, 1), (49, 3)):
        angle = place / 10000 ** (2 * pair / 8)
        assert mixed[place, 2 * pair] == pytest.approx(math.sin(angle), abs=1e-6)
        assert mixed[place, 2 * pair + 1] == pytest.approx(math.cos(angle), abs=1e-6)
        assert table[place, pair] == mixed[place, 2 * pair] and table[place, 4 + pair] == mixed[place, 2 * pair + 1]


def test_turned_queries_and_keys_know_only_how_far_apart_they_are():
    rotary = Rotary(8)
    query, key = torch.randn(2, 1, 8)
    near = (rotary(query, 3) @ rotary(key, 1).T).item()
    far = (rotary(query, 45) @ rotary(key, 43).T).item()
    assert near == pytest.approx(far, abs=1e-4) and rotary(query, 0).equal(query)
    assert near != pytest.approx((rotary(query, 4) @ rotary(key, 1).T).item(), abs=1e-3)
