"""Overrides of a sweep: where each stands in the config, which of them count, and the values that one is swept over."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Override,
    Quote,
    QuotedString,
    RangeSweep,
    Sweep,
    Transformer,
)

from noria.common.errors import UserError

MANY = 100_000  # values of one range that a grid is made of


def key_of(word: str) -> str:
    """Where in the config an override stands: `model.peft` for `model/peft=lora`, `x` for `group@x=choice`."""
    return word.partition("=")[0].lstrip("+~").rpartition("@")[2].replace("/", ".")


def fixed_keys(typed: Sequence[Override]) -> set[str]:
    """The keys of a command that have one value in all its trials."""
    swept = {key_of(override.get_key_element()): override.is_sweep_override() for override in typed}  # the last counts
    return {key for key, is_swept in swept.items() if not is_swept}


def effective(overrides: Sequence[Override]) -> list[Override]:
    """Those that count: a later one of the same key takes an earlier one's place, but dicts are merged into it."""
    kept: list[Override] = []
    for override in overrides:
        if not _gives_dicts(override):
            kept = [other for other in kept if other.get_key_element() != override.get_key_element()]
        kept.append(override)
    return kept


def values_of(override: Override) -> list[str]:
    """The values of a choice or a range, as Hydra reads them.

    Raises:
        UserError: there is none, as in `range(5, 1)`, or there are too many for a grid.
    """
    said = override.input_line
    if not override.is_discrete_sweep():
        raise UserError(f"{said} has no steps for a grid: give choices or a range, or hydra/sweeper=optuna.")
    value = override.value()
    if isinstance(value, RangeSweep) and (count := counted(value, str(said))) > MANY:
        raise UserError(f"{said} holds {count:,} values, and a grid tries each of them: at most {MANY:,} of a range.")
    try:
        texts = list(override.sweep_string_iterator())
    except ValueError as error:
        raise UserError(f"{said} cannot be counted: {error}.") from error
    if isinstance(value, ChoiceSweep):
        texts = [text_of(element) for element in value.list]
        if value.shuffle:
            random.shuffle(texts)
    return texts


def counted(span: RangeSweep, said: str) -> int:
    """How many values a range holds, about.

    Args:
        said: the override, as it was typed.

    Raises:
        UserError: it holds none, or has no end.
    """
    if span.start is None or span.stop is None:
        raise UserError(f"{said}: a range needs a start and a stop.")
    steps = (span.stop - span.start) / span.step if span.step else math.inf
    if not math.isfinite(steps):
        raise UserError(f"{said} cannot be counted: a range has a start, a stop and a step other than 0, all finite.")
    if steps <= 0:
        raise UserError(f"{said} holds no value: a range goes from its start to below its stop, in steps towards it.")
    return math.ceil(steps)


def text_of(element: Any) -> str:
    """A choice as Hydra reads it back; by itself it leaves out the quotes of '1', and then reads a number."""
    text = str(Transformer.encode(element))
    if not isinstance(element, str | QuotedString):
        return text
    read = OverridesParser.create().parse_override(f"key={text}").value()
    plain = element.text if isinstance(element, QuotedString) else element
    return text if isinstance(read, str | QuotedString) else QuotedString(plain, Quote.single).with_quotes()


def _gives_dicts(override: Override) -> bool:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return all(isinstance(each, dict) for each in value.list)
    return isinstance(value, dict) and not isinstance(value, Sweep)
