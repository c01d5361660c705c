"""What a decoder reads while it predicts a target: the target itself, one place later."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from noria.model.token_losses import wanted

WRAPS = ("mbart",)  # families whose targets end with what their decoder begins with


def first_token(network: Any) -> int | None:
    """The token that a network's decoder begins with; None where that is the last one of the target."""
    config: Any = network.config
    if config.model_type in WRAPS:
        return None
    for source in (config, getattr(network, "generation_config", None)):
        number = getattr(source, "decoder_start_token_id", None)
        if number is not None:
            return int(number)
    return int(config.bos_token_id if config.bos_token_id is not None else config.pad_token_id or 0)


def shifted(labels: Tensor, network: Any) -> Tensor:
    """The tokens before each of these, (rows, length); where there is no target stands any token, for nothing is
    predicted from it.

    Args:
        labels: (rows, length), -100 where there is no target.
    """
    there = wanted(labels)
    first = first_token(network)
    own = torch.where(there, labels, 0)
    if first is None:
        start = own.gather(1, (there.sum(1, keepdim=True) - 1).clamp(min=0))
    else:
        start = torch.full_like(labels[:, :1], first)
    return torch.cat([start, own[:, :-1]], 1)
