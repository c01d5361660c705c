"""Stochastic gradient descent with momentum.

Knows the network's parameters only, not what is learnt.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn
from torch.distributed.tensor import DTensor

from noria.common.errors import UserError
from noria.optimizer.fused import CPU_TYPES, choose_fused, leave_unscaling_to_the_scaler
from noria.optimizer.groups import parameter_groups


def sgd(
    network: nn.Module,
    *,
    lr: Annotated[float, Gt(0)] = 0.01,
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9,
    nesterov: bool = False,
    weight_decay: Annotated[float, Ge(0)] = 0.0001,
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0,
    fused: bool | None = None,
) -> torch.optim.SGD:
    """Sutskever et al. (2013) for both momenta; weight decay is an L2 penalty in the gradient.

    `fused` None means: where the parameters allow it.

    Raises:
        UserError: nothing is trainable, `nesterov` without momentum, or `fused` where it does not work.
    """
    if nesterov and momentum == 0:
        raise UserError("optimizer.nesterov needs optimizer.momentum above 0, and it is 0")
    groups = parameter_groups(network, lr, weight_decay, layer_decay)
    sharded = any(isinstance(p, DTensor) for g in groups for p in g["params"])
    if fused and sharded:
        raise UserError("optimizer.fused=true: torch has no fused SGD for strategy=fsdp. Set it to null.")
    if fused and any(p.device.type == "cpu" and p.dtype not in CPU_TYPES for g in groups for p in g["params"]):
        raise UserError(
            "optimizer.fused=true would learn nothing: torch's fused SGD leaves half-precision parameters on "
            "a CPU as they are. Set it to null, or train in 32-true or bf16-mixed."
        )
    if sharded:
        fused = False
    optimizer = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov, fused=choose_fused(groups, fused))
    leave_unscaling_to_the_scaler(optimizer)
    return optimizer
