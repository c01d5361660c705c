"""How a network is put on a device, and runs there in a precision. Knows nothing of what it computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from noria.common.precision import is_mixed, number_type


def placed(network: nn.Module, precision: str, device: torch.device) -> Any:
    """The network itself on the device, in the precision's type and in evaluation mode."""
    is_short = number_type(precision) == "bf16" and not is_mixed(precision)
    return network.to(device, torch.bfloat16 if is_short else torch.float32).eval()


def cast_once(network: nn.Module) -> None:
    """Casts to bf16, in place, the weights that autocast would cast again for every batch. The results are the same."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.to(torch.bfloat16)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which a network of that precision (a name of Lightning's) is to run."""
    if not is_mixed(precision):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if number_type(precision) == "bf16" else torch.float16)
