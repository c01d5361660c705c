"""Cheap dropout is dropout: the right rate, independent wherever it is drawn, seeded, and gone in evaluation.

Statistical bounds are at least 4.5 standard errors wide, and the seeds are fixed.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from noria.model.dropout import CheapDropout, cheap_dropout, make_dropout_cheap, random_words

MANY = 4_000_000


def kept(p: float, *shape: int) -> torch.Tensor:
    return cheap_dropout(torch.ones(shape), p) != 0


@pytest.mark.parametrize("p", [0.001, 0.1, 0.3, 0.5, 0.9])
def test_the_rate_and_the_mean(p: float) -> None:
    torch.manual_seed(1)
    out = cheap_dropout(torch.ones(MANY), p)
    rate = round(p * 65536) / 65536
    assert abs(rate - p) <= 1 / 131072
    assert float((out == 0).double().mean()) == pytest.approx(rate, abs=4.5 * (rate * (1 - rate) / MANY) ** 0.5)
    assert out[out != 0].unique().tolist() == pytest.approx([1 / (1 - rate)])
    assert float(out.double().mean()) == pytest.approx(1, abs=4.5 * (rate / (1 - rate) / MANY) ** 0.5)


def test_the_four_pieces_of_a_draw_are_independent() -> None:
    torch.manual_seed(2)
    for p, limit in ((0.5, 44.3), (0.1, 44.3)):  # chi square, 15 degrees of freedom: 1e-4 beyond it
        pieces = kept(p, MANY).view(-1, 4).long()
        seen = torch.bincount(pieces @ torch.tensor([8, 4, 2, 1]), minlength=16)
        rate = round(p * 65536) / 65536
        chances = [
            torch.tensor([1 - rate if bit else rate for bit in bits]).double().prod()
            for bits in itertools.product((0, 1), repeat=4)
        ]
        expected = torch.stack(chances) * len(pieces)
        assert float(((seen - expected) ** 2 / expected).sum()) < limit


def test_layers_and_steps_of_a_network_are_independent(tmp_path: Path, tiny_with_dropout: Path) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(tiny_with_dropout, num_labels=2).train()
    make_dropout_cheap(network)
    layers = [module for module in network.modules() if isinstance(module, CheapDropout)]
    assert len(layers) >= 6
    masks: list[torch.Tensor] = []
    for layer in layers:
        layer.register_forward_hook(lambda module, args, out: masks.append((out == 0).double().flatten()))
    torch.manual_seed(3)
    ids = torch.randint(1000, 2000, (32, 40))
    for _ in range(3):
        network(input_ids=ids)
    masks = [mask for mask in masks if len(mask) == 32 * 40 * 32]  # those of the hidden states
    assert len(masks) == 3 * 5  # embeddings, and two in each of two layers
    table = torch.corrcoef(torch.stack(masks))
    off = table[~torch.eye(len(masks), dtype=torch.bool)]
    assert float(off.abs().max()) < 5 / (32 * 40 * 32) ** 0.5


def test_neighbours_are_independent() -> None:
    torch.manual_seed(4)
    mask = kept(0.1, MANY).double()
    for shift in (1, 2, 3, 4, 5, 8, 64, 384, 1536):
        together = torch.corrcoef(torch.stack([mask[:-shift], mask[shift:]]))[0, 1]
        assert abs(float(together)) < 4.5 / MANY**0.5, shift


def test_a_seed_decides_and_a_state_goes_on() -> None:
    torch.manual_seed(5)
    first = kept(0.1, 1001)
    state = torch.get_rng_state()
    second = kept(0.1, 1001)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    assert torch.equal(kept(0.1, 1001), second)
    torch.manual_seed(5)
    assert torch.equal(kept(0.1, 1001), first)


def test_the_threads_do_not_matter() -> None:
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(6)
            found.append(kept(0.1, 1_000_003))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (0, 4), (4, 8, 16)])
def test_the_gradient_goes_where_the_values_went(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(7)
    x = torch.randn(shape).to(dtype).requires_grad_()
    out = cheap_dropout(x, 0.3)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(out, x * gradient)
    scale = float(torch.tensor(65536 / (65536 - 19661)).to(dtype))
    assert all(value == 0 or value == pytest.approx(scale, rel=1e-6) for value in gradient.flatten().tolist())


def test_the_bits_are_those_of_splitmix64() -> None:
    torch.manual_seed(9)
    start = int(torch.empty((), dtype=torch.int64).random_(-(2**63), None))
    torch.manual_seed(9)
    found = [word % 2**64 for word in random_words(5).tolist()]
    for step, word in enumerate(found):  # Steele, Lea and Flood 2014, figure 16
        z = (start + step * 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        assert word == z ^ (z >> 31)


def test_a_turned_tensor_keeps_its_order() -> None:
    x = torch.arange(1.0, 13).view(3, 4).T
    torch.manual_seed(8)
    out = cheap_dropout(x, 0.5)
    assert set((out / x).flatten().tolist()) == {0.0, 2.0}


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    x, state = torch.randn(10), torch.get_rng_state()
    assert cheap_dropout(x, 0.0) is x
    assert cheap_dropout(x, 0.5, training=False) is x
    assert torch.equal(CheapDropout(0.5).eval()(x), x)
    assert torch.equal(torch.get_rng_state(), state)
    assert not cheap_dropout(x, 1.0).any()


def test_all_of_a_network_is_exchanged_and_nothing_else() -> None:
    network = nn.Sequential(
        nn.Linear(2, 2), nn.Dropout(0.2), nn.ModuleList([nn.Dropout(0.3).eval(), nn.Dropout1d(0.4)])
    )
    keys = list(network.state_dict())
    make_dropout_cheap(network)
    assert [type(m).__name__ for m in network.modules()][2:] == [
        "CheapDropout", "ModuleList", "CheapDropout", "Dropout1d",
    ]  # fmt: skip
    assert [network[1].p, network[2][0].p] == [0.2, 0.3]
    assert network[1].training and not network[2][0].training
    assert list(network.state_dict()) == keys
