"""Checks one value of a config against a type, and says in plain words what is wrong with it.
Knows nothing of where types come from. Not pydantic: importing it alone costs a fifth of the second
that a config error may take."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from noria.common.errors import nearest

NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
LISTS = (list, tuple, set, frozenset, Sequence)
GROUPS = (dict, Mapping, MutableMapping)
BOUNDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "gt": (operator.gt, "greater than"),
    "ge": (operator.ge, "at least"),
    "lt": (operator.lt, "less than"),
    "le": (operator.le, "at most"),
    "multiple_of": (lambda value, factor: value % factor == 0, "a multiple of"),
}
LENGTHS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "min_length": (operator.ge, "at least"),
    "max_length": (operator.le, "at most"),
}


@dataclass(frozen=True)
class Misfit:
    """What one type has against a value, or against a part of it `depth` steps inside."""

    depth: int
    key: str
    value: object
    kind: Literal["type", "range", "length"]
    wanted: str
    options: tuple[object, ...] = ()  # those of a Literal


def complaint(key: str, value: object, annotation: Any) -> str | None:
    """What is wrong with a value, as a sentence that names its key; None if it fits.

    Values are those of YAML: an int is a float too, a list is also a tuple or a set; text is never a number.
    A type that only its own library can check fits every value.
    """
    found = list(_misfits(key, value, annotation, 0))
    return _sentence(found) if found else None


def shown(value: object) -> str:
    """A value as a config writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _misfits(key: str, value: Any, annotation: Any, depth: int) -> Iterator[Misfit]:
    outer, inner = get_origin(annotation) or annotation, get_args(annotation)
    if outer in (Union, UnionType):
        members = [list(_misfits(key, value, member, depth)) for member in inner]
        if all(members):
            yield from (misfit for found in members for misfit in found)
    elif outer is Annotated:
        misfit = None
        for misfit in _misfits(key, value, inner[0], depth):
            yield misfit
        if misfit is None:
            yield from _outside(key, value, inner[1:], depth)
    elif outer is Literal:
        if not any(type(value) is type(option) and value == option for option in inner):
            yield Misfit(depth, key, value, "type", _either([repr(option) for option in inner]), inner)
    elif outer in LISTS:
        yield from _list_misfits(key, value, outer, inner, depth)
    elif outer in GROUPS:
        if not isinstance(value, dict):
            yield Misfit(depth, key, value, "type", "a group of keys")
        elif inner:
            for name, item in value.items():
                yield from _misfits(f"{key}.{name}", name, inner[0], depth + 1)
                yield from _misfits(f"{key}.{name}", item, inner[1], depth + 1)
    elif outer in NOUNS and type(value) is not outer and not (outer is float and type(value) is int):
        yield Misfit(depth, key, value, "type", NOUNS[outer])


def _list_misfits(key: str, value: Any, outer: Any, inner: tuple[Any, ...], depth: int) -> Iterator[Misfit]:
    if not isinstance(value, list):
        yield Misfit(depth, key, value, "type", "a list")
        return
    if outer is tuple and inner and ... not in inner:
        if len(value) != len(inner):
            yield Misfit(depth, key, value, "length", f"exactly {len(inner)} items")
            return
        kinds: Sequence[Any] = inner
    else:
        kinds = [inner[0] if inner else Any] * len(value)
    for index, (item, kind) in enumerate(zip(value, kinds, strict=True)):
        yield from _misfits(f"{key}[{index}]", item, kind, depth + 1)


def _outside(key: str, value: Any, constraints: Sequence[Any], depth: int) -> Iterator[Misfit]:
    """The constraints, as `annotated_types` writes them, that a value of the right type breaks."""
    for constraint in constraints:
        if isinstance(value, int | float):
            for name, (holds, words) in BOUNDS.items():
                bound = getattr(constraint, name, None)
                if bound is not None and not holds(value, bound):
                    yield Misfit(depth, key, value, "range", f"{words} {bound:.15g}")
        elif isinstance(value, list | str | dict):
            for name, (holds, words) in LENGTHS.items():
                bound = getattr(constraint, name, None)
                if bound is not None and not holds(len(value), bound):
                    unit = "characters" if isinstance(value, str) else "items"
                    yield Misfit(depth, key, value, "length", f"{words} {bound} {unit}")


def _sentence(found: Sequence[Misfit]) -> str:
    """One sentence for all that the members of a union have against a value: the innermost counts."""
    depth = max(misfit.depth for misfit in found)
    first = next(misfit for misfit in found if misfit.depth == depth)
    innermost = [misfit for misfit in found if (misfit.depth, misfit.key) == (depth, first.key)]
    given = f"{first.key} = {shown(first.value)}"
    kinds, ranges, lengths = (
        list(dict.fromkeys(misfit.wanted for misfit in innermost if misfit.kind == kind))
        for kind in ("type", "range", "length")
    )
    if ranges:
        return f"{given} is out of range: it must be {_either([*ranges, *kinds])}."
    if lengths:
        return f"{given}: it must have {_either(lengths)}."
    options = [option for misfit in innermost for option in misfit.options]
    match = nearest(first.value, map(str, options)) if isinstance(first.value, str) else None
    one_of = "one of " if len(innermost) == 1 and len(options) > 1 else ""
    return f"{given} is not {one_of}{_either(kinds)}." + (f" Did you mean '{match}'?" if match else "")


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
