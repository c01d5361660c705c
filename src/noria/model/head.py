"""The heads of classifiers, and which row of one that comes with a model is which label of the data. Knows no texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from noria.common.console import say_once
from noria.common.errors import UserError

UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls the labels of a head that nobody has named
SHOWN = 12


@dataclass(frozen=True)
class Head:
    """What stands on a backbone.

    Args:
        auto_class: of transformers: it opens a backbone with such a head.
        name: how messages call it.
        adapted_as: what PEFT calls a model with it.
        rows: what its rows are, where they are the same for all data.
    """

    auto_class: Any
    name: str
    adapted_as: str
    rows: tuple[str, ...] = ()


SEQUENCE = Head(AutoModelForSequenceClassification, "sequence classification", "SEQ_CLS")
"""One row of logits for a whole sequence."""


def scores_of(output: Any) -> Tensor:
    """What a network of transformers says, whatever it calls it: of a sequence (rows, labels), of tokens (rows, length,
    labels), or without a head their states (rows, length, width)."""
    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], -1)
    found: Tensor = output.logits if "logits" in output else output.last_hidden_state
    return found


def own_labels(config: Any) -> list[str]:
    """The labels that a config names, in the order of the head's rows; made up by transformers where it names none."""
    return [str(label) for _, label in sorted((config.id2label or {}).items())]


def name_labels(config: Any, labels: Sequence[str], problem_type: str | None) -> int:
    """Writes the labels of a head into a model's config, in place; how many rows of scores there are.

    Args:
        labels: none: one number.
        problem_type: as transformers names them.
    """
    names = list(labels) or ["value"]
    config.num_labels = len(names)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: index for index, name in enumerate(names)}
    config.problem_type = problem_type
    return len(names)


def settle_head(
    network: Any, given: Sequence[str], names: Sequence[str], said: Sequence[str] | None, new: bool, model: str
) -> None:
    """Gives the rows of a head that came with the weights the order of the data's labels, in place.

    The same names (up to case, blanks, `_` and `-`) say which row is which. A head whose labels have no names, but
    LABEL_0, LABEL_1, …, is taken to have the data's order, and that is said.

    Args:
        given: the labels that the model names, by row.
        names: those of the data.
        said: what the rows are in the words of the data, for a model that has other names for them.
        new: whether the head is to be replaced where it is not surely one for these labels.

    Raises:
        UserError: it is a head for other labels.
    """
    order = _order(given, names)
    if order is None and said is not None:
        order = _order(said, names)
        if order is None:
            raise UserError(
                f"model.head_labels={list(said)} must be the labels of this data, one for each row of the head: "
                f"{_listed(names)}."
            )
    if order is None and new:
        _replace(network)
    elif order is None and all(UNNAMED.fullmatch(label) for label in given):
        say_once(
            f"model.name={model}: its head does not name its labels. Its rows are taken for {_listed(names)}, in this "
            "order: model.head_labels=[…] names another, model.new_head=true trains a new head."
        )
    elif order is None:
        raise UserError(
            f"model.name={model} comes with a head for other labels: {_listed(given)}. Those of this data are "
            f"{_listed(names)}. model.new_head=true trains a new one; model.head_labels=[…] says what its rows are, in "
            "that order, in the words of this data."
        )
    elif order != list(range(len(names))):
        for key in _rows_of_labels(network):
            weight = network.get_parameter(key)
            weight.data = weight.data[order].clone()
        say_once(f"model.name={model}: the rows of its head were put in the order of this data: {_listed(names)}.")


def _order(given: Sequence[str], names: Sequence[str]) -> list[int] | None:
    """For each name the row that has it; None where they are not the same names."""
    for same in (str, _plain):
        rows = {same(label): row for row, label in enumerate(given)}
        wanted = [same(name) for name in names]
        if len(rows) == len(given) == len(names) == len(set(wanted)) and set(wanted) == set(rows):
            return [rows[name] for name in wanted]
    return None


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().casefold()


def _rows_of_labels(network: Any) -> list[str]:
    """The names of the parameters that have a row for each label: those that are larger where there is one more."""
    shapes: list[dict[str, torch.Size]] = []
    for more in (0, 1):
        config = deepcopy(network.config)
        config.num_labels = network.config.num_labels + more
        with torch.device("meta"):
            shapes.append({name: weight.shape for name, weight in type(network)(config).named_parameters()})
    return [name for name, shape in shapes[0].items() if shapes[1][name] != shape]


def _replace(network: Any) -> None:
    """Draws the output layer anew, as transformers does for a head that is missing."""
    for name in {key.rpartition(".")[0] for key in _rows_of_labels(network)}:
        layer = network.get_submodule(name)
        for part in (layer, *layer.parameters(recurse=False)):
            part.__dict__.pop("_is_hf_initialized", None)  # what it marks is not drawn
        network._init_weights(layer)


def _listed(labels: Collection[str]) -> str:
    shown = ", ".join(list(labels)[:SHOWN])
    return shown if len(labels) <= SHOWN else f"{shown}, … ({len(labels)} in all)"
