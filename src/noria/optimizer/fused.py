"""When to use torch's fused kernels: one pass over all parameters instead of several small ones.

Knows devices and types, not what the optimizer computes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

# On a CPU fused Adam is several times as quick as plain, but for fp16 and bf16 fused SGD leaves nearly
# all values as they were, without a word (pytorch/pytorch#191763, in 2.12 and 2.13).
CPU_TYPES = frozenset({torch.float32, torch.float64})


def choose_fused(groups: Iterable[dict[str, Any]], fused: bool | None) -> bool | None:
    """`fused` as asked for; None becomes True where all parameters allow it, else torch chooses."""
    if fused is not None:
        return fused
    return all(_fits(parameter) for group in groups for parameter in group["params"]) or None


def _fits(parameter: Tensor) -> bool:
    if parameter.device.type == "cpu":
        return parameter.dtype in CPU_TYPES
    return parameter.device.type == "cuda" and parameter.is_floating_point()


def leave_unscaling_to_the_scaler(optimizer: Optimizer) -> None:
    """Let gradients be clipped in mixed precision although the optimizer is fused.

    A fused optimizer offers to unscale gradients itself, inside `step`; Lightning then refuses to clip them
    before it, even in bf16 where nothing is scaled. Without the offer `GradScaler` unscales first, as it does
    for every other optimizer.
    """
    optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
