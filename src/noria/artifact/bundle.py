"""Saves and opens an artifact. Opening one from a stranger runs none of its code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from torch import nn
from transformers import GenerationConfig

from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.names import ARTIFACT_FILE
from noria.common.swap import replace_folder
from noria.data.batch.encoded import padding_id
from noria.data.chat.stops import stop_tokens
from noria.model.peft import is_adapted
from noria.model.pretrained import PROBLEM_TYPES, Pretrained

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT = 1
CAUSAL_LM = "causal_lm"
KINDS = (*PROBLEM_TYPES, CAUSAL_LM)
ADAPTER = "adapter"
LONGEST = 2**31  # tokens
SHAPES: dict[str, Callable[[Any], bool]] = {
    "kind": lambda kind: kind in KINDS,
    "labels": lambda names: isinstance(names, list) and all(isinstance(n, str) for n in names) and _distinct(names),
    "max_length": lambda length: type(length) is int and 0 < length < LONGEST,
    "precision": lambda precision: isinstance(precision, str),
    **dict.fromkeys(("config", "data", "choices", "metrics"), lambda part: isinstance(part, dict)),
}
"""Of what `noria.yaml` says, what each value has to be."""
NEEDED = ("format", "kind", "labels", "max_length", "precision", "config", "data")


def _distinct(names: list[str]) -> bool:
    return len(set(names)) == len(names)


@dataclass(frozen=True)
class Artifact:
    """An opened artifact: the network, its tokenizer, and what `noria.yaml` says of them."""

    folder: Path
    facts: dict[str, Any]
    network: nn.Module
    tokenizer: PreTrainedTokenizerBase

    @property
    def kind(self) -> str:
        return str(self.facts["kind"])

    @property
    def labels(self) -> list[str]:
        return list(self.facts["labels"])


def save(folder: Path, network: nn.Module, tokenizer: PreTrainedTokenizerBase, facts: dict[str, Any]) -> None:
    """Writes the folder beside its place and moves it there whole: a kill leaves the artifact of before, or this one.

    Args:
        network: a transformers model (it saves itself as safetensors with its config). One with an adapter in it
            leaves its weights with the adapter merged in, and the adapter alone in `adapter/`; it stays as it is.
        facts: what `noria.yaml` holds besides the format: kind, labels, max_length, config, metrics, data, versions;
            `dtype` is that of the weights in the folder (by default the network's).
    """
    for half in folder.parent.glob(f".{folder.name}.*"):  # a kill has left it
        shutil.rmtree(half, ignore_errors=True)
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    if is_adapted(network):
        network = _save_adapter(network, building / ADAPTER)
    if facts["kind"] == CAUSAL_LM:
        _name_stops(network, tokenizer)
    _save_weights(network, building, facts.get("dtype"))
    tokenizer.save_pretrained(building)
    write_facts(building, {"format": FORMAT, **facts})
    replace_folder(building, folder)


def _name_stops(network: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes into the network's own settings for generation where answers end, and what pads prompts."""
    config = getattr(network, "generation_config", None)
    if config is None:
        return
    stops = stop_tokens(tokenizer, network)
    try:
        config.validate(strict=True)
    except ValueError:  # it came with settings that transformers reads but does not write
        config = network.generation_config = GenerationConfig(bos_token_id=config.bos_token_id)
    config.eos_token_id = stops[0] if len(stops) == 1 else stops or None
    config.pad_token_id = padding_id(tokenizer)


def _save_weights(network: Any, folder: Path, dtype: str | None) -> None:
    """The network's weights and config, in another type where one is given; the network stays as it is."""
    if dtype is None or getattr(torch, dtype) == network.dtype:
        network.save_pretrained(folder)
        return
    cast: dict[tuple[int, torch.Size], torch.Tensor] = {}  # weights that are one in the network stay one
    state = {
        name: cast.setdefault((x.data_ptr(), x.shape), x.to(getattr(torch, dtype))) if x.is_floating_point() else x
        for name, x in network.state_dict().items()
    }
    network.save_pretrained(folder, state_dict=state)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, "dtype": dtype}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save_adapter(network: Any, folder: Path) -> nn.Module:
    """Writes the adapter alone; a copy of the network with the adapter merged into its weights."""
    network.save_pretrained(folder, save_embedding_layers=False)  # "auto" would ask the hub
    (folder / "README.md").unlink()  # a form that nobody has filled in
    merged: nn.Module = deepcopy(network).merge_and_unload(safe_merge=True)
    return merged


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Writes `noria.yaml` in one move."""
    new = folder / f".{ARTIFACT_FILE}.{os.getpid()}"
    new.write_text(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), encoding="utf-8")
    os.replace(new, folder / ARTIFACT_FILE)


def read_facts(folder: Path) -> dict[str, Any]:
    """What `noria.yaml` says, checked for form. Its config is not to be used before `config.trust` has passed it.

    Raises:
        UserError: no artifact, one of a newer format, or a broken file.
    """
    path = folder / ARTIFACT_FILE
    try:
        facts = read_mapping(path)
    except FileNotFoundError:
        raise UserError(
            f"artifact={folder} is no artifact: it holds no {ARTIFACT_FILE}. A fit leaves one in <run folder>/artifact."
        ) from None
    if facts.get("format", FORMAT) != FORMAT:
        raise UserError(f"{path} has format {facts['format']}; this Noria reads format {FORMAT}. Update Noria.")
    if missing := [key for key in NEEDED if key not in facts]:
        raise UserError(f"{path} does not describe an artifact: it lacks {', '.join(missing)}.")
    if wrong := next((key for key, right in SHAPES.items() if key in facts and not right(facts[key])), None):
        raise UserError(f"{path} does not describe an artifact: its {wrong} is not as Noria writes it.")
    return facts


def open_artifact(folder: Path) -> Artifact:
    """Opens the network in fp32 and in evaluation mode, not to be trained.

    Raises:
        UserError: as `read_facts`, or the weights do not fit the labels or the config.
    """
    facts = read_facts(folder)
    pretrained = Pretrained(name=str(folder))
    tokenizer = open_tokenizer(folder)
    if facts["kind"] == CAUSAL_LM:
        network = pretrained.causal_lm(padding_id(tokenizer))
    else:
        network = pretrained.classifier(list(facts["labels"]), str(facts["kind"]), padding_id(tokenizer), tokenizer)
    return Artifact(folder, facts, network.eval().requires_grad_(False), tokenizer)


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The artifact's tokenizer alone.

    Raises:
        UserError: it is not there or cannot be read.
    """
    if not (folder / "tokenizer.json").is_file():  # transformers would make an empty one
        raise UserError(f"artifact={folder} holds no tokenizer.json: copy the whole folder.")
    return Pretrained(name=str(folder)).tokenizer()
