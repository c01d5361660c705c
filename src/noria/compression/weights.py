"""Saves an artifact whose linear layers hold whole numbers of 8 or 4 bits, from one with floating-point weights."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noria.artifact.bundle import BACKEND, PACKED, SOURCE, Artifact, save
from noria.common.errors import UserError
from noria.model.packed_weights import GROUPS, is_packed
from noria.model.pretrained import quiet, without_bars

SMALLER = tuple(1 - step / 40 for step in range(13))  # what the largest weight is divided by: 1 down to 0.7


def save_packed(folder: Path, artifact: Artifact, bits: int, group_size: int) -> None:
    """Writes the folder beside its place and moves it there whole, in the format of compressed-tensors
    (`pack-quantized`), which transformers and vLLM open. What is no linear layer, and the output layer, is in bf16.

    Args:
        bits: 8, with a scale for each output; or 4, with one for each group of inputs.
        group_size: inputs that share a scale, in 4 bits.

    Raises:
        UserError: the artifact's model is no decoder, holds packed weights already, or its layers are not of whole
            groups.
    """
    if is_packed(artifact.network):
        raise UserError(f"artifact={artifact.folder} has weights of few bits already: take the one it was made from.")
    network = deepcopy(artifact.network).to(torch.bfloat16)
    _refuse_odd(network, bits, group_size)
    with quiet(), without_bars():
        _pack(network, bits, group_size)
        facts = {key: value for key, value in artifact.facts.items() if key not in ("dtype", "gate")}
        facts |= {BACKEND: PACKED, SOURCE: str(artifact.folder.resolve())}
        save(folder, network, artifact.tokenizer, artifact.kind, facts)


def _refuse_odd(network: nn.Module, bits: int, group_size: int) -> None:
    per = group_size if bits == 4 else 4
    for name, module in network.named_modules():
        if type(module) is nn.Linear and module.in_features % per:
            raise UserError(
                f"{name} has {module.in_features} inputs, which are no whole number of groups of {per}: "
                + (f"group_size may be {', '.join(map(str, GROUPS))}." if bits == 4 else "it cannot be packed.")
            )


def _pack(network: Any, bits: int, group_size: int) -> None:
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        QuantizationStatus,
        QuantizationType,
        apply_quantization_config,
    )

    groups: dict[str, Any] = {"strategy": "group", "group_size": group_size} if bits == 4 else {"strategy": "channel"}
    weights = QuantizationArgs(num_bits=bits, type=QuantizationType.INT, symmetric=True, **groups)
    head = network.get_output_embeddings()
    ignored = [name for name, module in network.named_modules() if module is head]
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    asked = QuantizationConfig(
        config_groups={"group_0": scheme},
        ignore=ignored,
        format="pack-quantized",
        quantization_status=QuantizationStatus.FROZEN,
    )
    apply_quantization_config(network, asked)
    for module in network.modules():
        if hasattr(module, "quantization_scheme"):
            module.weight_scale.data = scales(module.weight.float(), bits, group_size).to(module.weight_scale.dtype)
    compressor = ModelCompressor.from_pretrained_model(network)
    compressor.compress_model(network)
    network.config.quantization_config = {
        **compressor.quantization_config.model_dump(mode="json"),
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }


def scales(weight: Tensor, bits: int, group_size: int) -> Tensor:
    """What whole numbers are multiplied by, (outputs, groups): of some near the largest weight over the largest whole
    number, the one with the smallest squared error (Nagel et al. 2021, A White Paper on Neural Network Quantization,
    section 3.1, "range setting").

    Args:
        weight: (outputs, inputs).
        bits: in 8 all inputs of an output are one group.
    """
    most = 2 ** (bits - 1) - 1
    grouped = weight.unflatten(1, (-1, group_size if bits == 4 else weight.shape[1]))
    largest = grouped.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / most
    best, error = largest, torch.full_like(largest, torch.inf)
    for smaller in SMALLER:
        scale = (largest * smaller).to(torch.bfloat16).float()  # as it is kept
        rounded = (grouped / scale).round().clamp(-most - 1, most) * scale
        found = (rounded - grouped).square().sum(-1, keepdim=True)
        best, error = torch.where(found < error, scale, best), torch.minimum(found, error)
    return best[..., 0]
