"""AdamW, the usual choice for Transformers.

Knows the network's parameters only, not what is learnt.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn

from noria.optimizer.adam import checked_betas
from noria.optimizer.fused import choose_fused, leave_unscaling_to_the_scaler
from noria.optimizer.groups import parameter_groups


def adamw(
    network: nn.Module,
    *,
    lr: Annotated[float, Gt(0)] = 5e-5,
    weight_decay: Annotated[float, Ge(0)] = 0.01,
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0,
    betas: list[float] = [0.9, 0.999],  # noqa: B006 - only read
    eps: Annotated[float, Gt(0)] = 1e-8,
    fused: bool | None = None,
) -> torch.optim.AdamW:
    """Loshchilov and Hutter (2019): Adam whose weight decay bypasses the gradient.

    `fused` None means: where the parameters allow it.

    Raises:
        UserError: nothing is trainable, or `betas` are not two numbers in [0, 1).
    """
    groups = parameter_groups(network, lr, weight_decay, layer_decay)
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=checked_betas(betas), eps=eps, fused=choose_fused(groups, fused))
    leave_unscaling_to_the_scaler(optimizer)
    return optimizer
