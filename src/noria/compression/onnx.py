"""A network as a file in ONNX's format, as it is or with weights and activations in 8 bits. Knows no kind of work."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noria.common.errors import UserError
from noria.model.onnx import INPUTS, OUTPUTS, OnnxNetwork

SHAPES = ((1, 3), (2, 7), (5, 16))  # rows and tokens of what both are asked
EXAMPLE = (2, 7)  # neither is 1: the graph may not take a size of 1 for a constant
FAR = 1e-3  # of the largest number: what the graph may differ by in fp32


class _Positional(nn.Module):
    """A network that takes its inputs in order, and gives those of its outputs that a graph may have."""

    def __init__(self, network: nn.Module, takes: Sequence[str], gives: Sequence[str]) -> None:
        super().__init__()
        self.network, self._takes, self._gives = network, tuple(takes), tuple(gives)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        made = self.network(**dict(zip(self._takes, inputs, strict=True)))
        return tuple(getattr(made, name) for name in self._gives)


def write_onnx(network: nn.Module, takes: Sequence[str], path: Path) -> float:
    """Writes a network to a file whose rows and lengths are free, and asks both the same.

    Args:
        network: of transformers, in fp32 and in evaluation mode, that reads whole texts.
        takes: those of `noria.model.onnx.INPUTS` that its tokenizer gives.

    Returns:
        The largest difference between what the two say.

    Raises:
        UserError: it cannot be written down as a graph, or the graph says something else.
    """
    if "forward" in vars(network):  # `noria.model.padding` has put another in its place
        raise UserError(
            f"A '{_type_of(network)}' model answers a padded text in another way than the text alone. Noria calls it "
            "in parts to undo that, which a graph cannot hold: this model cannot be exported."
        )
    takes = [name for name in INPUTS if name in takes]
    with torch.inference_mode():
        gives = next((names for names in OUTPUTS if {*names} <= {*network(**_made_up(network, takes, EXAMPLE))}), None)
    if gives is None:
        raise UserError(f"A '{_type_of(network)}' model gives nothing that an ONNX file of Noria's can hold.")
    try:
        with _plain_attention(network):
            _quietly_export(_Positional(network, takes, gives).eval(), _made_up(network, takes, EXAMPLE), gives, path)
    except Exception as error:  # torch's exporter raises many classes, for as many reasons
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise UserError(f"A '{_type_of(network)}' model cannot be written as an ONNX file: {said[0]}") from error
    return _refuse_different(network, takes, gives, path)


@contextmanager
def _plain_attention(network: Any) -> Iterator[None]:
    """Attention as products and a softmax: torch's own in one piece becomes a graph that looks for NaN in every row."""
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        yield
    finally:
        network.set_attn_implementation(before)


def _quietly_export(network: nn.Module, given: dict[str, Tensor], gives: Sequence[str], path: Path) -> None:
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings(), without_logs(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, tuple(given.values()), path, input_names=list(given), output_names=list(gives), dynamo=True,
            dynamic_shapes=(tuple(free for _ in given),), external_data=False, verbose=False,
        )  # fmt: skip


def _refuse_different(network: nn.Module, takes: Sequence[str], gives: Sequence[str], path: Path) -> float:
    """How far apart the two are; refuses a graph that is further from its network than rounding brings it."""
    graph, most = OnnxNetwork(path, network.config), 0.0  # type: ignore[arg-type]
    for shape in SHAPES:
        given = _made_up(network, takes, shape)
        with torch.inference_mode():
            wanted, found = network(**given), graph(**given)
        for name in gives:
            there = given["attention_mask"].bool() if wanted[name].shape[:2] == shape else slice(None)
            ours, theirs = wanted[name][there].float(), found[name][there]
            apart = float((ours - theirs).abs().max())
            if not apart <= FAR * max(1.0, float(ours.abs().max())):
                raise UserError(
                    f"A '{_type_of(network)}' model and the ONNX file made of it differ by {apart:.2g} on {shape[0]} "
                    f"rows of {shape[1]} tokens: nothing is kept of it."
                )
            most = max(most, apart)
    return most


def _made_up(network: nn.Module, takes: Sequence[str], shape: tuple[int, int]) -> dict[str, Tensor]:
    """Rows of tokens drawn at random, of which the last is padded."""
    config: Any = network.config
    drawn = torch.Generator().manual_seed(0)
    ids, there = torch.randint(5, config.vocab_size, shape, generator=drawn), torch.ones(shape, dtype=torch.int64)
    if shape[0] > 1:
        there[-1, -2:] = 0
        ids[-1, -2:] = int(getattr(config, "pad_token_id", 0) or 0)
    given = {"input_ids": ids, "attention_mask": there, "token_type_ids": torch.zeros_like(ids)}
    return {name: given[name] for name in takes}


def _type_of(network: nn.Module) -> str:
    return str(getattr(network.config, "model_type", "?"))


@contextmanager
def without_logs() -> Iterator[None]:
    """What torch's exporter and ONNX Runtime's quantiser log is for those who write them."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
