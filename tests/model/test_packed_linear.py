"""Linear layers that are packed for answering: the same outputs, and the plain ones where they learn."""

from __future__ import annotations

import copy

import torch
from torch import nn

from noria.model.packed_linear import PackedLinear, pack_linears


def test_the_outputs_are_the_same_and_no_weight_is_there_twice() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 8, bias=False)).eval()
    packed = pack_linears(copy.deepcopy(plain))
    assert sum(isinstance(part, PackedLinear) for part in packed) == 2, "this torch has oneDNN"
    for shape in ((16,), (3, 16), (2, 5, 16), (1, 1, 16)):
        x = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(packed(x), plain(x), rtol=1e-5, atol=1e-6)
            with torch.autocast("cpu", torch.bfloat16):
                assert torch.equal(packed(x), plain(x))
    x = torch.randn(3, 16, requires_grad=True)
    packed(x).sum().backward()
    assert x.grad is not None and not [*packed.parameters()]


def test_other_types_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Linear(4, 4)).double()
    assert type(pack_linears(network)[0]) is nn.Linear  # type: ignore[index]
