"""Cuts a network up over ranks. Knows transformers' blocks, not what the network learns."""

from __future__ import annotations

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers.modeling_layers import GradientCheckpointingLayer

from noria.common.errors import UserError
from noria.model.padding import runs_in_parts


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Cuts each block, and what lies outside of the blocks, in place; a network that is cut already stays as it is.

    Args:
        mesh: one dimension, the ranks.

    Raises:
        UserError: a forward of this network is several, and on other ranks another number: they would wait for ever.
    """
    if runs_in_parts(network):
        raise UserError(
            "strategy=fsdp cannot cut up a model that takes padding for text, and so runs texts of one length at a "
            "time. Take strategy=ddp, or another model."
        )
    if any(isinstance(parameter, DTensor) for parameter in network.parameters()):
        return
    blocks = set(getattr(network, "_no_split_modules", None) or ())
    for module in list(network.modules()):
        if type(module).__name__ in blocks or isinstance(module, GradientCheckpointingLayer):
            fully_shard(module, mesh=mesh)
    fully_shard(network, mesh=mesh)
