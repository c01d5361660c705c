"""Where a network runs, and in which precision. Knows nothing of what it computes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn


def pick_device(accelerator: str) -> torch.device:
    """The device that Lightning's accelerator name means for a single process."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def placed(network: nn.Module, precision: str, device: torch.device) -> Any:
    """The network itself on the device, in the precision's type and in evaluation mode."""
    return network.to(device, torch.bfloat16 if precision == "bf16-true" else torch.float32).eval()


def cast_once(network: nn.Module) -> None:
    """Casts to bf16, in place, the weights that autocast would cast again for every batch. The results are the same."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.to(torch.bfloat16)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which a network of that precision (a name of Lightning's) is to run."""
    if not precision.endswith("-mixed"):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16 if precision.startswith("bf16") else torch.float16)
