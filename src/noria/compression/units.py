"""What can be cut out of a Transformer as a whole: neurons of its feed-forwards, attention heads, layers.

Knows them by how they are built, not by the names of model families: `prune_structured` asks a network that was cut and
the one before, with the same parts silenced, whether they say the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from noria.common.errors import UserError
from noria.compression.linears import linears
from noria.model.layers import BLOCK

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from noria.compression.linears import Linear

WIDTHS = ("intermediate_size", "ffn_dim", "hidden_dim", "d_ff", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim")
"""What configs call the number of neurons."""


@dataclass(frozen=True)
class Units:
    """Parts of one layer that are alike: `count` of them, each `sizes` rows of the maps that make it.

    Args:
        makes: linear maps with the rows that each unit has in them. In one that is fused, the units come as often as
            there are rows for them.
        reads: the linear map that reads all units, `size` columns each.
    """

    makes: Sequence[tuple[Linear, int]]
    reads: Linear
    count: int
    size: int

    def silence(self, kept: Tensor) -> None:
        """Lets what reads the units take nothing from those that are not kept (count,)."""
        _inputs(self.reads).data[:, ~kept.repeat_interleave(self.size)] = 0

    def cut(self, kept: Tensor) -> None:
        """Takes out those that are not kept."""
        for linear, size in self.makes:
            rows = kept.repeat_interleave(size)
            _keep(linear, rows.repeat(_inputs(linear).shape[0] // len(rows)), 0)
        _keep(self.reads, kept.repeat_interleave(self.size), 1)


def neurons(network: nn.Module) -> list[Units]:
    """The feed-forward of each layer: what is no attention; its last map reads what the others make.

    Raises:
        UserError: a layer is built in another way.
    """
    found = []
    for layer, maps in _by_layer(network).items():
        *first, last = [linear for name, linear in maps.items() if "att" not in name.lower()] or [
            next(iter(maps.values()))
        ]
        width = _inputs(last).shape[1]
        if not first or any(_inputs(one).shape[0] not in (width, 2 * width) for one in first):
            raise UserError(f"a '{_type_of(network)}' model's {layer} has no feed-forward that can be cut: neurons=0.")
        found.append(Units([(one, 1) for one in first], last, width, 1))
    return found


def heads(network: nn.Module) -> list[Units]:
    """The attention heads of each layer; those that share keys and values go together.

    Raises:
        UserError: the model's config cannot say that there are fewer of the same size.
    """
    config = _config(network)
    size, count = (int(getattr(config, name, None) or 0) for name in ("head_dim", "num_attention_heads"))
    shared = int(getattr(config, "num_key_value_heads", None) or count)
    found = []
    for maps in _by_layer(network).values():
        ends = ("q_proj", "k_proj", "v_proj", "o_proj")
        parts = [one for end in ends for name, one in maps.items() if name.endswith(end)]
        if len(parts) != len(ends) or not size * count or _inputs(parts[-1]).shape[1] != size * count:
            raise UserError(
                f"the config of a '{_type_of(network)}' model cannot say that it has fewer attention heads of the same "
                "size, so that no library would open what is left: heads=0. Neurons and layers can go."
            )
        query, key, value, out = parts
        query_size = size * count // shared
        found.append(Units([(query, query_size), (key, size), (value, size)], out, shared, query_size))
    return found


def stack(network: nn.Module) -> nn.ModuleList:
    """The list of the layers.

    Raises:
        UserError: there is more than one, or it is no list.
    """
    paths = {layer.rpartition(".")[0] for layer in _by_layer(network)}
    found = [network.get_submodule(path) for path in paths]
    if len(found) != 1 or not isinstance(found[0], nn.ModuleList):
        raise UserError(f"a '{_type_of(network)}' model has no single list of layers: layers=0.")
    return found[0]


def drop_layers(network: nn.Module, kept: Tensor) -> None:
    """Takes out the layers that are not kept (layers,), also of what the config says of each."""
    layers, config = stack(network), _config(network)
    left = [layer for layer, stays in zip(layers, kept.tolist(), strict=True) if stays]
    for number, layer in enumerate(left):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # type: ignore[assignment]
    for name, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == len(kept):
            setattr(config, name, [one for one, stays in zip(value, kept.tolist(), strict=True) if stays])
    try:
        config.num_hidden_layers = len(left)
    except NotImplementedError as error:
        raise UserError(f"a '{_type_of(network)}' model's layers cannot go: {error}") from error
    del layers[:]
    layers.extend(left)


def name_neurons(network: nn.Module, before: int, after: int) -> None:
    """Writes another number of neurons into the config."""
    config = _config(network)
    for name in WIDTHS:
        if getattr(config, name, 0) in (before, None):
            setattr(config, name, after)


def name_heads(network: nn.Module, before: int, after: int) -> None:
    """Writes other numbers of heads into the config.

    Args:
        before, after: heads, or groups that share keys and values.
    """
    config = _config(network)
    config.num_attention_heads = config.num_attention_heads // before * after
    if getattr(config, "num_key_value_heads", None):
        config.num_key_value_heads = after


def _by_layer(network: nn.Module) -> dict[str, dict[str, Linear]]:
    found: dict[str, dict[str, Linear]] = {}
    for name, linear in linears(network).items():
        match = BLOCK.search(f"{name}.")
        assert match is not None
        found.setdefault(name[: match.end() - 1], {})[name[match.end() :]] = linear
    if not found:
        raise UserError(f"a '{_type_of(network)}' model has no layers that can be told apart.")
    return found


def _inputs(linear: Linear) -> Tensor:
    """The weight as (outputs, inputs), a view."""
    return linear.weight if isinstance(linear, nn.Linear) else linear.weight.t()


def _keep(linear: Linear, kept: Tensor, axis: int) -> None:
    """Keeps some outputs (axis 0) or inputs (axis 1) of a linear map."""
    weight = (_inputs(linear).data[kept] if axis == 0 else _inputs(linear).data[:, kept]).contiguous()
    plain = isinstance(linear, nn.Linear)
    linear.weight = nn.Parameter(weight if plain else weight.t().contiguous(), linear.weight.requires_grad)
    if axis == 0 and linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.data[kept].clone(), linear.bias.requires_grad)
    if plain:
        linear.out_features, linear.in_features = weight.shape
    else:
        linear.nx, linear.nf = weight.shape[1], weight.shape[0]


def _config(network: Any) -> PretrainedConfig:
    config: PretrainedConfig = network.config.get_text_config()
    return config


def _type_of(network: Any) -> str:
    return str(getattr(network.config, "model_type", "?"))


def best(scores: Tensor, share: float) -> Tensor:
    """Which to keep (count,) where the share with the lowest scores goes; one stays."""
    count = max(1, len(scores) - round(share * len(scores)))
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[scores.argsort(descending=True, stable=True)[:count]] = True
    return kept
