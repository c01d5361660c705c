"""Linear layers whose weights are whole numbers of 8 or 4 bits, multiplied by torch's own kernels for them.

At batch 1 a decoder waits for its weights to come from memory: fewer bytes of them are fewer milliseconds. The folder
holds them as the package compressed-tensors does, which transformers and vLLM open, too.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = (32, 64, 128, 256)
"""Sizes of a group of inputs that share a scale, in 4 bits: those that torch has a kernel for."""
FEW = {8: 8, 4: 32}
"""By bits, up to how many rows its kernel is quicker than unpacking the weights for a product."""


class PackedWeights(nn.Module):
    """`nn.Linear` with weights of few bits, which are not trained: rows (…, inputs) -> (…, outputs).

    Args:
        packed: int32 (outputs, inputs / (32 / bits)), as compressed-tensors packs them.
        scales: (outputs, 1) in 8 bits, (outputs, inputs / group) in 4: what each whole number is multiplied by.
        bits: 8 or 4.
        inputs: how many there are.
    """

    scales: Tensor
    bias: Tensor | None
    held: Tensor

    def __init__(self, packed: Tensor, scales: Tensor, bias: Tensor | None, bits: int, inputs: int) -> None:
        super().__init__()
        from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

        self.bits, self.inputs, self.outputs = bits, inputs, len(packed)
        whole = unpack_from_int32(packed, bits, torch.Size((self.outputs, inputs)))  # int8
        self.register_buffer("scales", scales.detach(), persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)
        held = whole if bits == 8 else _in_pairs(whole)
        self.register_buffer("held", held.contiguous(), persistent=False)
        self._group = inputs // scales.shape[1]
        self._biased = bias is not None
        # Weights and scales as torch's kernel takes them. A decoder calls hundreds of layers for each token: what is
        # no module's buffer is found sooner.
        self._for_kernel: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        rows = x.reshape(-1, self.inputs)
        found = self._few(rows) if x.device.type == "cpu" and len(rows) <= FEW[self.bits] else self._many(rows)
        if self._biased:
            assert self.bias is not None
            found = found + self.bias.to(found.dtype)
        return found.view(*x.shape[:-1], self.outputs)

    def _few(self, rows: Tensor) -> Tensor:
        if self._for_kernel is None or self._for_kernel[1].dtype != rows.dtype:
            self._for_kernel = self._laid_out(rows.dtype)
        weights, scales = self._for_kernel
        found: Tensor
        if self.bits == 8:
            found = torch.ops.aten._weight_int8pack_mm(rows, weights, scales)
        else:
            found = torch.ops.aten._weight_int4pack_mm_for_cpu(rows, weights, self._group, scales)
        return found

    def _laid_out(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        if self.bits == 8:
            return self.held, self.scales[:, 0].contiguous().to(dtype)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(self._whole().to(torch.int32) + 8, 1)
        with_zeros = torch.stack([self.scales, torch.zeros_like(self.scales)], -1)
        return packed, with_zeros.transpose(0, 1).contiguous().to(dtype)

    def _many(self, rows: Tensor) -> Tensor:
        if self.bits == 8:  # whole numbers up to 127 are exact in 8 bits of a bf16's fraction
            return F.linear(rows, self._whole().to(rows.dtype)) * self.scales[:, 0].to(rows.dtype)
        grouped = self._whole().unflatten(1, (self.scales.shape[1], -1)).to(rows.dtype)
        return F.linear(rows, (grouped * self.scales[..., None].to(rows.dtype)).flatten(1))

    def _whole(self) -> Tensor:
        """The whole numbers, int8 (outputs, inputs)."""
        if self.bits == 8:
            return self.held
        return torch.stack([self.held & 15, self.held >> 4], -1).flatten(1).to(torch.int8) - 8


def _in_pairs(whole: Tensor) -> Tensor:
    """Numbers of -8 … 7 as 4 bits each: uint8 (outputs, inputs / 2)."""
    shifted = (whole + 8).to(torch.uint8)
    return shifted[:, 0::2] | (shifted[:, 1::2] << 4)


def run_packed(network: Any) -> Any:
    """Puts a `PackedWeights` in the place of each linear layer that came with packed weights, before anything is asked
    of the network: compressed-tensors would unpack them all at the first call."""
    if (hook := getattr(network, "ct_decompress_hook", None)) is not None:  # it would look for them at that call
        hook.remove()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if hasattr(child, "weight_packed"):
                scheme: Any = child.quantization_scheme
                setattr(
                    module,
                    name,
                    PackedWeights(
                        child.weight_packed.detach(),
                        child.weight_scale,
                        getattr(child, "bias", None),
                        int(scheme.weights.num_bits),
                        int(child.weight_shape[1]),
                    ),
                )
    return network


def is_packed(network: nn.Module) -> bool:
    """Whether some of its weights are whole numbers, so that it cannot be trained."""
    return any(isinstance(module, PackedWeights) for module in network.modules())
