"""Adam, with weight decay as an L2 penalty in the gradient (for decoupled decay see adamw.py).

Knows the network's parameters only, not what is learnt.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn

from noria.common.errors import UserError
from noria.optimizer.fused import choose_fused, leave_unscaling_to_the_scaler
from noria.optimizer.groups import parameter_groups


def adam(
    network: nn.Module,
    *,
    lr: Annotated[float, Gt(0)] = 5e-5,
    weight_decay: Annotated[float, Ge(0)] = 0.0,
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0,
    betas: list[float] = [0.9, 0.999],  # noqa: B006 - only read
    eps: Annotated[float, Gt(0)] = 1e-8,
    fused: bool | None = None,
) -> torch.optim.Adam:
    """Kingma and Ba (2015). `fused` None means: where the parameters allow it.

    Raises:
        UserError: nothing is trainable, or `betas` are not two numbers in [0, 1).
    """
    groups = parameter_groups(network, lr, weight_decay, layer_decay)
    optimizer = torch.optim.Adam(groups, lr=lr, betas=checked_betas(betas), eps=eps, fused=choose_fused(groups, fused))
    leave_unscaling_to_the_scaler(optimizer)
    return optimizer


def checked_betas(betas: list[float]) -> tuple[float, float]:
    """The two decay rates of Adam's running averages; UserError unless they are two numbers in [0, 1)."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise UserError(f"optimizer.betas must be two numbers in [0, 1), such as [0.9, 0.999], got {betas}")
    return betas[0], betas[1]
