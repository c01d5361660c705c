"""Saves and opens an artifact. Opening one from a stranger runs none of its code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from hydra.utils import get_class
from torch import nn

from noria.artifact.format1 import upgraded
from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.names import ARTIFACT_FILE, ONNX_FILE
from noria.common.swap import replace_folder
from noria.config.moved import moved
from noria.config.trust import is_component
from noria.model.peft import is_adapted
from noria.model.pretrained import Pretrained
from noria.task.form import Form
from noria.task.kind import Kind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

KINDS = ("noria.task", "noria.index")  # where the kinds of work lie that an artifact of a stranger may name
FORMAT = 2
ADAPTER = "adapter"
BACKEND, ONNX = "backend", "onnx"  # what runs the network, where it is not torch as it is trained
PACKED = "packed"  # torch, with weights of few bits
SOURCE = "source"  # the artifact that such a one, or a smaller one, was made from
COMPRESSION = "compression"  # the steps by which a smaller one was made of it: `name`, `settings`, and what they did
LONGEST = 2**31  # tokens
SHAPES: dict[str, Callable[[Any], bool]] = {
    "kind": lambda kind: isinstance(kind, str),
    "max_length": lambda length: type(length) is int and 0 < length < LONGEST,
    "precision": lambda precision: isinstance(precision, str),
    BACKEND: lambda backend: backend in (ONNX, PACKED),
    SOURCE: lambda source: isinstance(source, str),
    COMPRESSION: lambda steps: (
        isinstance(steps, list) and all(isinstance(one, dict) and "name" in one for one in steps)
    ),
    **dict.fromkeys(("settings", "config", "data", "choices", "metrics", "gate"), lambda part: isinstance(part, dict)),
}
"""Of what `noria.yaml` says, what each value has to be."""
WHY = {ONNX: "is an ONNX file", PACKED: "has weights of few bits"}
NEEDED = ("format", "kind", "settings", "max_length", "precision", "config", "data")


@dataclass(frozen=True)
class Artifact:
    """An opened artifact: the network, its tokenizer, what it does, and what `noria.yaml` says of it."""

    folder: Path
    facts: dict[str, Any]
    network: nn.Module
    tokenizer: PreTrainedTokenizerBase
    kind: Kind

    @property
    def form(self) -> Form:
        return self.kind.form

    @property
    def labels(self) -> list[str]:
        return list(self.form.labels)


def class_path(kind: Kind) -> str:
    """The dotted path by which an artifact names its kind."""
    return f"{type(kind).__module__}.{type(kind).__qualname__}"


def save(
    folder: Path, network: nn.Module, tokenizer: PreTrainedTokenizerBase, kind: Kind, facts: dict[str, Any]
) -> None:
    """Writes the folder beside its place and moves it there whole: a kill leaves the artifact of before, or this one.

    Args:
        network: a transformers model (it saves itself as safetensors with its config). One with an adapter in it
            leaves its weights with the adapter merged in, and the adapter alone in `adapter/`; it stays as it is.
        kind: what the network does.
        facts: what `noria.yaml` holds besides: max_length, config, metrics, data, versions; `dtype` is that of the
            weights in the folder (by default the network's).
    """
    for half in folder.parent.glob(f".{folder.name}.*"):  # a kill has left it
        shutil.rmtree(half, ignore_errors=True)
    building = folder.with_name(f".{folder.name}.{os.getpid()}")
    if is_adapted(network):
        network = _save_adapter(network, building / ADAPTER)
    kind.finish(network, tokenizer)
    _save_weights(network, building, facts.get("dtype"))
    tokenizer.save_pretrained(building)
    width = getattr(getattr(network, "config", None), "hidden_size", 0)
    kind.write(building, int(width or 0), int(facts.get("max_length", 0)))
    write_facts(building, {"format": FORMAT, "kind": class_path(kind), "settings": kind.form.settings(), **facts})
    replace_folder(building, folder)


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
    if facts.get("format") == 1:
        facts = upgraded(facts)
    facts = moved(facts)
    if facts.get("format", FORMAT) != FORMAT:
        raise UserError(f"{path} has format {facts['format']}; this Noria reads format {FORMAT}. Update Noria.")
    if missing := [key for key in NEEDED if key not in facts]:
        raise UserError(f"{path} does not describe an artifact: it lacks {', '.join(missing)}.")
    if wrong := next((key for key, right in SHAPES.items() if key in facts and not right(facts[key])), None):
        raise UserError(f"{path} does not describe an artifact: its {wrong} is not as Noria writes it.")
    return facts


def open_kind(folder: Path, facts: dict[str, Any], own: Collection[str] = ()) -> Kind:
    """What the artifact's model does, as `noria.yaml` says.

    Args:
        own: dotted paths of kinds that are trusted besides Noria's.

    Raises:
        UserError: it is no kind of work that Noria has, or its settings are not.
    """
    path, where = str(facts["kind"]), folder / ARTIFACT_FILE
    if path not in own and not is_component(path, KINDS):
        raise UserError(f"{where} names '{path}' as what its model does, which is no kind of work that Noria has.")
    try:
        kind: type[Kind] = get_class(path)
        form: type[Form] = get_class(kind.form_path)
        opened = kind.of(form.of(facts["settings"]))
        opened.folder = folder
        return opened
    except UserError as error:
        raise UserError(f"{where} does not describe an artifact: {error}") from error
    except TypeError as error:
        raise UserError(f"{where} does not describe an artifact: its settings are not as Noria writes it.") from error


def open_artifact(folder: Path, own: Collection[str] = ()) -> Artifact:
    """Opens the network in fp32 and in evaluation mode, not to be trained.

    Raises:
        UserError: as `read_facts` and `open_kind`, or the weights do not fit the labels or the config.
    """
    facts = read_facts(folder)
    kind = open_kind(folder, facts, own)
    _refuse_without_tokenizer(folder)
    pretrained = Pretrained(name=str(folder))
    tokenizer = pretrained.tokenizer()
    if facts.get(BACKEND) == ONNX:
        from noria.model.onnx import OnnxNetwork  # loading ONNX Runtime takes its time

        return Artifact(folder, facts, OnnxNetwork(folder / ONNX_FILE, pretrained.config), tokenizer, kind)
    network = kind.network(pretrained, tokenizer)
    return Artifact(folder, facts, network.eval().requires_grad_(False), tokenizer, kind)


def refuse_marked(folder: Path, facts: dict[str, Any], otherwise: str) -> None:
    """Refuses an artifact that was made of another one and not shown to be as good and as quick.

    Args:
        otherwise: what takes it all the same, as a sentence.

    Raises:
        UserError: it says what speaks against it.
    """
    if against := (facts.get("gate") or {}).get("against"):
        raise UserError(
            f"artifact={folder} was measured against the one it was made from, and this speaks against it: "
            f"{'; '.join(map(str, against))}. {otherwise}"
        )


def trainable(folder: Path) -> Path:
    """The folder that training can go on from: the artifact's own, or that of the one it was made from.

    Raises:
        UserError: that one is not there any more.
    """
    facts = read_facts(folder)
    if BACKEND not in facts:
        return folder
    source = Path(str(facts.get(SOURCE, "")))
    if not (source / ARTIFACT_FILE).is_file():
        raise UserError(
            f"artifact={folder} {WHY[facts[BACKEND]]}, which cannot be trained, and the artifact it was made from is "
            f"not at {source} any more: write its place into {SOURCE} of {folder / ARTIFACT_FILE}."
        )
    return source


def open_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The artifact's tokenizer alone.

    Raises:
        UserError: it is not there or cannot be read.
    """
    _refuse_without_tokenizer(folder)
    return Pretrained(name=str(folder)).tokenizer()


def _refuse_without_tokenizer(folder: Path) -> None:
    if not (folder / "tokenizer.json").is_file():  # transformers would make an empty one
        raise UserError(f"artifact={folder} holds no tokenizer.json: copy the whole folder.")
