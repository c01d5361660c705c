"""Weights of few bits: what torch's kernels say is what the whole numbers and their scales say."""

from __future__ import annotations

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

from noria.model.packed_weights import FEW, PackedWeights

OUTPUTS, INPUTS = 48, 64


def layer(bits: int, group: int, bias: bool) -> tuple[PackedWeights, torch.Tensor, torch.Tensor | None]:
    """A layer, and the weights and bias that it stands for."""
    drawn = torch.Generator().manual_seed(bits + group)
    most = 2 ** (bits - 1)
    whole = torch.randint(-most, most, (OUTPUTS, INPUTS), generator=drawn).to(torch.int8)
    scales = torch.rand(OUTPUTS, INPUTS // group, generator=drawn).add(0.1).to(torch.bfloat16).float()
    weights = (whole.unflatten(1, (-1, group)).float() * scales[..., None]).flatten(1)
    added = torch.randn(OUTPUTS, generator=drawn) if bias else None
    return PackedWeights(pack_to_int32(whole, bits), scales, added, bits, INPUTS), weights, added


@pytest.mark.parametrize(("bits", "group"), [(8, INPUTS), (4, 32), (4, 64)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_is_the_linear_layer(bits, group, bias, dtype):
    made, weights, added = layer(bits, group, bias)
    made = made.to(dtype)
    for rows in (1, FEW[bits], FEW[bits] + 1):  # by the kernel, and unpacked
        x = torch.randn(rows, 1, INPUTS, generator=torch.Generator().manual_seed(rows)).to(dtype)
        wanted = torch.nn.functional.linear(x.double(), weights.double(), None if added is None else added.double())
        with torch.inference_mode():
            found = made(x)
        assert found.dtype == dtype and found.shape == (rows, 1, OUTPUTS)
        far = (found.double() - wanted).abs().max() / wanted.abs().max()
        assert far < (0.02 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("bits", [8, 4])
def test_autocast_decides_its_type(bits):
    made, *_ = layer(bits, 32 if bits == 4 else INPUTS, bias=False)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert made(torch.ones(2, INPUTS)).dtype == torch.bfloat16
