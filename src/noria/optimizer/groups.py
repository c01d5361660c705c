"""A network's parameters as optimizer groups: who decays, and how quickly each depth learns.

Knows names, shapes and module types only; no model family, no optimizer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from noria.common.errors import UserError
from noria.model.layers import BLOCK


def parameter_groups(network: nn.Module, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
    """Groups of the trainable parameters, each with `params`, `lr`, `weight_decay` and a unique `name`.

    Biases, parameters of normalisation layers and all other vectors and scalars get no weight decay
    (the practice of BERT's reference code). Shared (tied) parameters appear once, where they come first.

    With `layer_decay` below 1 a parameter at depth l of L learns with lr * layer_decay ** (L - l): embeddings
    l = 0, block i l = i + 1, everything else (pooler, head, last norm) l = L (ELECTRA, Clark et al. 2020,
    appendix B; BERT: Sun et al. 2019, "How to Fine-Tune BERT", section 5.3.4). A decoder's blocks lie above
    the encoder's. The order of the groups, and within them, depends only on the network.

    Raises:
        UserError: nothing is trainable, or `layer_decay` is below 1 and no numbered blocks are found.
    """
    layers = _Layers(network) if layer_decay != 1 else None
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter, module in _parameters(network):
        if not parameter.requires_grad:
            continue
        depth = layers.of(name, module) if layers else 0
        decays = not _is_exempt(name, parameter, module)
        if (depth, decays) not in groups:
            kind = "decay" if decays else "no_decay"
            groups[depth, decays] = {
                "params": [],
                "lr": lr * layer_decay ** (layers.depth - depth) if layers else lr,
                "weight_decay": weight_decay if decays else 0.0,
                "name": f"{layers.name(depth)}.{kind}" if layers else kind,
            }
        groups[depth, decays]["params"].append(parameter)

    trainable = {id(parameter) for parameter in network.parameters() if parameter.requires_grad}
    if not trainable:
        raise UserError(
            f"nothing to optimise: {type(network).__name__} has no trainable parameter. "
            "Leave some of it unfrozen, or do not fit it."
        )
    grouped = [id(parameter) for group in groups.values() for parameter in group["params"]]
    assert len(grouped) == len(trainable) and set(grouped) == trainable
    return [groups[key] for key in sorted(groups, key=lambda key: (key[0], not key[1]))]


def _parameters(network: nn.Module) -> Iterator[tuple[str, nn.Parameter, nn.Module]]:
    """Every parameter once, with its full name and the module that owns it, in the network's order."""
    seen = set()
    for prefix, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield f"{prefix}.{name}" if prefix else name, parameter, module


def _is_exempt(name: str, parameter: nn.Parameter, module: nn.Module) -> bool:
    """Whether weight decay leaves the parameter alone."""
    # The factors of an (IA)^3 adapter start at one and stand as a column or a row.
    return parameter.ndim <= 1 or name.endswith("bias") or ".ia3_l." in name or type(module).__name__.endswith("Norm")


class _Layers:
    """The depth of each parameter: 0 for embeddings, 1 and up for blocks, `depth` for the rest."""

    def __init__(self, network: nn.Module) -> None:
        # Frozen blocks count too: freezing some must not change how quickly the others learn.
        heights: dict[str, int] = {}
        for name, _, _ in _parameters(network):
            if match := BLOCK.search(name):
                stack = name[: match.start(1)]
                heights[stack] = max(heights.get(stack, 0), int(match[1]) + 1)
        if not heights:
            raise UserError(
                f"optimizer.layer_decay is below 1, but {type(network).__name__} has no numbered blocks "
                "(layer.0, layers.0, h.0, block.0 or blocks.0) to tell its layers by. Set it to 1."
            )
        self.base: dict[str, int] = {}
        self.depth = 1
        for stack, height in heights.items():
            self.base[stack] = self.depth
            self.depth += height

    def of(self, name: str, module: nn.Module) -> int:
        if match := BLOCK.search(name):
            return self.base[name[: match.start(1)]] + int(match[1])
        if isinstance(module, nn.Embedding) or "embed" in name.lower():
            return 0
        return self.depth

    def name(self, depth: int) -> str:
        if depth == 0:
            return "embeddings"
        return "head" if depth == self.depth else f"block_{depth - 1}"
