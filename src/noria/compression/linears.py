"""The linear maps of a Transformer's layers, by whatever class a model family writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from noria.model.layers import BLOCK

if TYPE_CHECKING:
    from transformers.pytorch_utils import Conv1D

    Linear = nn.Linear | Conv1D


def linears(network: nn.Module) -> dict[str, Linear]:
    """Those in the layers, by name: neither embeddings nor a head are among them."""
    from transformers.pytorch_utils import Conv1D  # GPT-2's, whose weight stands the other way round

    found = ((name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear | Conv1D))
    return {name: module for name, module in found if BLOCK.search(name)}
