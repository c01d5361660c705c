"""The last hidden states of a network's backbone, beside what its head makes of them. Knows no loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def caught(network: nn.Module) -> Iterator[list[Tensor]]:
    """The states (rows, length, width) of each call within, in order.

    The network must compute them for all tokens: an encoder that is packed for a head that reads the first token alone
    does not (`noria.model.unpadded`).
    """
    found: list[Tensor] = []
    handle = _backbone(network).register_forward_hook(lambda module, given, made: found.append(made[0]))
    try:
        yield found
    finally:
        handle.remove()


def _backbone(network: Any) -> nn.Module:
    """The part below the head, also of a network with an adapter in it."""
    bare = network.get_base_model() if hasattr(network, "get_base_model") else network
    backbone: nn.Module = bare.base_model
    return backbone
