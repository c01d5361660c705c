"""Linear layers for answering on a CPU in fp32, by oneDNN with weights that are laid out for it once.

torch multiplies fp32 matrices by MKL, which on processors of other makers is half as quick or less.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """`nn.Linear` that is not trained any more: the same function up to rounding."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._plain = [linear]  # in a list: its weights are no second set of this network's
        self._packed = _ops()._reorder_linear_weight(linear.weight.detach().contiguous(), None)

    def forward(self, x: Tensor) -> Tensor:
        (plain,) = self._plain
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return plain(x)
        flat = x.reshape(-1, x.shape[-1])
        found: Tensor = _ops()._linear_pointwise(flat, self._packed, plain.bias, "none", [], "")
        return found.view(*x.shape[:-1], -1)


def pack_linears(network: nn.Module) -> nn.Module:
    """Puts a `PackedLinear` in the place of each `nn.Linear`, where this torch can; a network on a GPU, or in another
    type, stays as it is."""
    if not _can_pack():
        return network
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            weight: Any = getattr(child, "weight", None)
            if type(child) is nn.Linear and weight.device.type == "cpu" and weight.dtype == torch.float32:
                setattr(module, name, PackedLinear(child))
    return network


def _ops() -> Any:
    """What torch's own compiler calls; not part of its public interface."""
    return torch.ops.mkldnn


def _can_pack() -> bool:
    try:
        ready = torch.backends.mkldnn.is_available()
        return bool(ready and _ops()._reorder_linear_weight and _ops()._linear_pointwise)
    except (AttributeError, RuntimeError):
        return False
