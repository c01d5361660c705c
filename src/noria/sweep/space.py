"""A search space: Hydra's grammar for choices, ranges and intervals, as Optuna's distributions; or a function."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from noria.common.errors import UserError
from noria.sweep.overrides import counted, text_of, values_of

Function = Callable[[Trial], Mapping[str, Any]]
"""Suggests the values of one trial, by key: which keys there are may depend on what was suggested before."""


class Space:
    """What a search may try.

    Args:
        overrides: parsed, those that are swept over; `choice(a, b)`, `a,b`, `range(1, 10, 2)`, `interval(0, 1)`,
            `tag(log, interval(1e-5, 1e-3))`, `int(interval(1, 8))`.
        function: the dotted path of a `Function`, for spaces whose keys depend on each other.

    Raises:
        UserError: an override that Optuna has no distribution for, or no such function.
    """

    def __init__(self, overrides: Sequence[Override], function: str | None = None) -> None:
        self.distributions: dict[str, BaseDistribution] = {}
        self._keys: dict[str, str] = {}  # by the names of the distributions: two dicts may be merged into one key
        self._texts: dict[str, dict[Any, str]] = {}  # of choices, as typed
        for override in overrides:
            key = name = str(override.get_key_element())
            while name in self.distributions:
                name += " and"
            self._keys[name] = key
            try:
                self.distributions[name] = self._distribution(name, override)
            except ValueError as error:
                raise UserError(f"{override.input_line} cannot be searched over: {error}") from error
        self._function = None if function is None else _import(function)

    def words(self, trial: Trial) -> list[str]:
        """The overrides of a trial that was asked for with `distributions`.

        Raises:
            UserError: the function gave something that is no override.
        """
        words = [f"{key}={self.text(name, trial.params[name])}" for name, key in self._keys.items()]
        if self._function is not None:
            suggested = self._function(trial)
            if not isinstance(suggested, Mapping):
                raise UserError(f"hydra.sweeper.space gave {suggested!r}: it is to give a dict of keys and values.")
            words += [f"{key}={written(value)}" for key, value in suggested.items()]
        return words

    def corners(self) -> Iterator[list[str]]:
        """Overrides with each bound and each choice once, for a check before anything is trained."""
        values = {key: _ends(distribution) for key, distribution in self.distributions.items()}
        for index in range(max((len(ends) for ends in values.values()), default=0)):
            yield [
                f"{self._keys[name]}={self.text(name, ends[min(index, len(ends) - 1)])}"
                for name, ends in values.items()
            ]

    @property
    def size(self) -> int | None:
        """How many points it has; None where one cannot count them."""
        counted = 1
        for distribution in self.distributions.values():
            match distribution:
                case CategoricalDistribution():
                    counted *= len(distribution.choices)
                case IntDistribution(log=False):
                    counted *= (distribution.high - distribution.low) // distribution.step + 1
                case FloatDistribution(step=float(step)):
                    counted *= round((distribution.high - distribution.low) / step) + 1
                case _:
                    return None
        return None if self._function is not None else counted

    def grid(self) -> dict[str, list[Any]]:
        """All values of each key, for a grid.

        Raises:
            UserError: a key has no end of them.
        """
        values: dict[str, list[Any]] = {}
        for key, distribution in self.distributions.items():
            match distribution:
                case CategoricalDistribution():
                    values[key] = list(distribution.choices)
                case IntDistribution(log=False):
                    values[key] = list(range(distribution.low, distribution.high + 1, distribution.step))
                case FloatDistribution(step=float(step)):
                    count = round((distribution.high - distribution.low) / step) + 1
                    values[key] = [distribution.low + step * index for index in range(count)]
                case _:
                    raise UserError(f"hydra.sweeper.sampler=grid: {key} has no steps. Give choices or a range.")
        return values

    def text(self, key: str, value: Any) -> str:
        """A value of a key as Hydra reads it: a choice as it was typed."""
        return self._texts[key][value] if key in self._texts else written(value)

    def _distribution(self, key: str, override: Override) -> BaseDistribution:
        value = override.value()
        if isinstance(value, ChoiceSweep):
            texts: dict[Any, str] = {}
            for element in value.list:
                text = text_of(element)
                scalar = element if isinstance(element, bool | int | float) or element is None else text
                twin = next((other for other in texts if other == scalar), scalar)
                texts[scalar if type(twin) is type(scalar) else text] = text  # 1, 1.0 and true are equal, and three
            self._texts[key] = texts
            return CategoricalDistribution(list(texts))
        if isinstance(value, RangeSweep):
            counted(value, str(override.input_line))
            start, stop, step = value.start, value.stop, value.step
            assert start is not None and stop is not None
            if "log" in value.tags:
                raise UserError(f"{key}: a range has steps and no logarithm. Take tag(log, interval(…)).")
            if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
                last = range(start, stop, step)[-1]
                return IntDistribution(min(start, last), max(start, last), step=abs(step))
            end = float(start + int((stop - start) / step - 1e-9) * step)  # as in Hydra, the stop itself is left out
            return FloatDistribution(min(float(start), end), max(float(start), end), step=abs(float(step)))
        if isinstance(value, IntervalSweep):
            if value.start is None or value.end is None:
                raise UserError(f"{key}: an interval needs a start and an end.")
            if not (math.isfinite(value.start) and math.isfinite(value.end)):
                raise UserError(f"{key}: an interval has finite ends, not {value.start} and {value.end}.")
            if value.start > value.end:
                raise UserError(f"{key}: an interval goes up, not from {value.start} to {value.end}.")
            log = "log" in value.tags
            if log and value.start <= 0:
                raise UserError(f"{key}: the logarithm needs a start above 0, not {value.start}.")
            if isinstance(value.start, int) and isinstance(value.end, int):  # int(interval(…))
                return IntDistribution(int(value.start), int(value.end), log=log)
            return FloatDistribution(float(value.start), float(value.end), log=log)
        if override.is_discrete_sweep():  # glob(…)
            texts = {text: text for text in values_of(override)}
            self._texts[key] = texts
            return CategoricalDistribution(list(texts))
        raise UserError(f"{key}={override.get_value_element_as_str()}: Optuna cannot search over that.")


def written(value: Any) -> str:
    """A value as Hydra's grammar has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{written(item)}" for key, item in value.items()) + "}"
    return "[" + ",".join(written(item) for item in value) + "]"


def _ends(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]


def _import(path: str) -> Function:
    module, _, name = path.rpartition(".")
    try:
        found: Function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"hydra.sweeper.space={path}: there is no such function ({error}).") from error
    return found
