"""Adafactor: second moments by row and column, so that its state is far smaller than the network.

Knows the network's parameters only, not what is learnt.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval, Le
from torch import nn

from noria.optimizer.groups import parameter_groups


def adafactor(
    network: nn.Module,
    *,
    lr: Annotated[float, Gt(0)] = 1e-3,
    weight_decay: Annotated[float, Ge(0)] = 0.01,
    layer_decay: Annotated[float, Interval(gt=0, le=1)] = 1.0,
    beta2_decay: Annotated[float, Le(0)] = -0.8,
) -> torch.optim.Adafactor:
    """Shazeer and Stern (2018). `lr` is relative: a step is about lr times the parameter's own size.

    torch's and not transformers': it is kept and tested with torch's other optimizers, and its whole state is
    tensors, so that a checkpoint resumes exactly.

    Raises:
        UserError: nothing is trainable.
    """
    groups = parameter_groups(network, lr, weight_decay, layer_decay)
    return torch.optim.Adafactor(groups, lr=lr, beta2_decay=beta2_decay)
