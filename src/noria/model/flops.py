"""The floating-point operations that training a Transformer takes, by its weights. Runs nothing, knows no device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from noria.model.layers import BLOCK

KNOWN = (nn.Linear, Conv1D, nn.Embedding)
UNKNOWN = 0.01  # the share of weights in other modules (experts, convolutions) beyond which nothing is said


@dataclass(frozen=True)
class TrainingFlops:
    """Of a sequence of s useful tokens, forward and backward: token · s + sequence + square · s².

    Args:
        token: for each token, in the matrices that every token passes.
        sequence: in the matrices that one token of a sequence passes (pooler, classifier's head).
        square: attention, for each pair of tokens.
    """

    token: int
    sequence: int
    square: int

    def of(self, sequences: int, tokens: int, squares: int) -> int:
        """Of many: how many there are, the sum of their lengths, and that of the squares of their lengths."""
        return self.token * tokens + self.sequence * sequences + self.square * squares


def training_flops(network: Any) -> TrainingFlops | None:
    """What training a network of the transformers library takes; None where its layout is not known.

    Each weight of a matrix takes 2 for each token that passes it, and as many again for the gradient of its input and
    for its own: 6 (Kaplan et al. 2020, section 2.1). The attention of a layer to s tokens takes 12 · width · s²
    (PaLM, Chowdhery et al. 2022, appendix B); causal attention is counted in full, as there. Embeddings are looked up:
    they cost nothing, but as the output of a decoder, which every token passes.

    What is frozen needs no gradient of its own (4), and what lies before all that is trained (in the order of the
    modules) none at all (2; attention 4). The operations are those of the network as it is defined, whatever a way of
    executing it spares or does twice (padding, gradient checkpointing).
    """
    config = getattr(network, "config", None)
    layers, width = _layers(config), _attention_width(config)
    if not layers or not width:
        return None
    output = getattr(network, "get_output_embeddings", lambda: None)()
    token = sequence = unknown = 0
    gradients: dict[str, bool] = {}  # of each block, whether any flow through it
    flowing = False
    for name, module in network.named_modules():
        own = list(module.parameters(recurse=False))
        if ".original_module" in name:  # of an adapter: a copy of it is trained in its place
            continue
        if block := BLOCK.search(f"{name}."):
            gradients.setdefault(block[1], flowing)
        if isinstance(module, nn.Linear | Conv1D):
            operations = module.weight.numel() * 2 * (1 + module.weight.requires_grad + flowing)
            if block or module is output or not gradients:
                token += operations
            else:
                sequence += operations
        elif not isinstance(module, KNOWN):
            unknown += sum(parameter.numel() for parameter in own if parameter.dim() > 1)
        flowing = flowing or any(parameter.requires_grad for parameter in own)
        if block:
            gradients[block[1]] = flowing
    # Fewer blocks than layers: one is used several times. More: some are of another kind.
    if len(gradients) != layers or unknown > UNKNOWN * (token + sequence) / 6:
        return None
    return TrainingFlops(token, sequence, sum(width * (12 if trained else 4) for trained in gradients.values()))


def _layers(config: Any) -> int | None:
    if config is None or getattr(config, "is_encoder_decoder", False):  # two lengths at once
        return None
    return getattr(config, "num_hidden_layers", None)


def _attention_width(config: Any) -> int | None:
    """Of all heads together; some decoders choose it freely."""
    heads, each = getattr(config, "num_attention_heads", None), getattr(config, "head_dim", None)
    return heads * each if heads and each else getattr(config, "hidden_size", None)
