"""A network that is opened to be used: on a device, in a precision. Knows nothing of what it computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from noria.common.heap import keep_freed_memory
from noria.common.precision import is_mixed, number_type
from noria.model.execution import choose_execution


class Session:
    """A network on a device, in evaluation mode. It is moved there, not copied.

    Args:
        precision: a name of Lightning's: `32-true`, `bf16-mixed`, `bf16-true`, `16-mixed`.
        packed: the network reads whole texts, so that it may run on rows without their padding.
    """

    def __init__(self, network: nn.Module, precision: str, device: torch.device, packed: bool = False) -> None:
        is_short = number_type(precision) == "bf16" and not is_mixed(precision)
        self.network: Any = network.to(device, torch.bfloat16 if is_short else torch.float32).eval()
        self.device = device
        self.precision = precision
        if packed and any(True for _ in self.network.parameters()):  # a graph of ONNX is as it is
            choose_execution(self.network, device.type)
            if precision == "bf16-mixed" and not any(weight.requires_grad for weight in self.network.parameters()):
                cast_once(self.network)
            if device.type == "cpu":
                keep_freed_memory()

    def context(self) -> AbstractContextManager[Any]:
        """In which the network is to be called."""
        if not is_mixed(self.precision):
            return nullcontext()
        dtype = torch.bfloat16 if number_type(self.precision) == "bf16" else torch.float16
        return torch.autocast(self.device.type, dtype=dtype)

    def moved(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The batch on the device."""
        return {name: values.to(self.device) for name, values in batch.items()}


def cast_once(network: nn.Module) -> None:
    """Casts to bf16, in place, the weights that autocast would cast again for every batch. The results are the same."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.to(torch.bfloat16)
