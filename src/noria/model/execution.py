"""How a network is executed on a device: the same function of the same weights, for less work. Knows no task."""

from __future__ import annotations

from typing import Any

from torch import nn

from noria.common.errors import UserError
from noria.model.dropout import make_dropout_cheap
from noria.model.unpadded import FAMILIES, NAME, can_unpad, unpad


def choose_execution(network: Any, device: str, attn_implementation: str = "auto") -> str:
    """Chooses the quickest way to run a network on a kind of device, and sets it up in place. Weights keep their names.

    Args:
        device: torch's name of the kind, such as `cpu`.
        attn_implementation: `auto` packs the tokens of known encoders on a CPU, where packing costs next to nothing;
            `unpadded` packs them wherever it runs. Any other the network was opened with.

    Returns:
        The attention implementation that it runs with.

    Raises:
        UserError: `unpadded` for a network of another layout.
    """
    if attn_implementation == NAME and not can_unpad(network):
        raise UserError(
            f"model.attn_implementation={NAME} packs encoders of {', '.join(sorted(FAMILIES))}; this is a "
            f"{type(network).__name__}. Leave it at auto."
        )
    if attn_implementation == NAME or (attn_implementation == "auto" and device == "cpu" and can_unpad(network)):
        unpad(network)
    if device == "cpu":
        make_dropout_cheap(network)
    return attention_of(network)


def attention_of(network: nn.Module) -> str:
    """The attention implementation that a network runs with."""
    return str(getattr(getattr(network, "config", None), "_attn_implementation", None))
