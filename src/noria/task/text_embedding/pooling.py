"""From vectors of tokens to one of the text. Knows no network."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pooling = Literal["mean", "first", "last"]


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a text, fp32 (texts, width): the mean over its tokens, that of the first or that of the last.

    Args:
        states: (texts, longest, width).
        mask: (texts, longest), 1 where a token is, rows padded at the right.
    """
    if pooling == "first":
        return states[:, 0].float()
    lengths = mask.sum(1)
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), lengths - 1].float()
    weights = mask.to(states.dtype) if states.dtype == torch.float32 else mask.float()
    return torch.einsum("tlw,tl->tw", states.float(), weights) / lengths[:, None]
