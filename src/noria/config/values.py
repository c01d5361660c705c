"""Checks one value of a config against a type, and says in plain words what is wrong with it.
Knows nothing of where types come from."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Sequence
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt

from noria.common.errors import nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
NOUNS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a group of keys",
    "none_required": "null",
}
RANGES = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
}
LENGTHS = {
    "too_short": "it must have at least {min_length} items",
    "too_long": "it must have at most {max_length} items",
    "missing": "it has too few items",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it must have at most {max_length} characters",
}


def complaint(key: str, value: object, annotation: Any) -> str | None:
    """What is wrong with a value, as a sentence that names its key; None if it fits.

    Values are read as JSON: an int is a float too, a list is also a tuple or a set; text is never a number.
    """
    if surely_fits(value, annotation) or (adapter := _adapter(annotation)) is None:
        return None
    from pydantic import ValidationError

    try:
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        return _sentence(key, value, error.errors(include_url=False))
    return None


def surely_fits(value: object, annotation: Any) -> bool:
    """Whether a value fits a common type. False means: ask pydantic.

    Importing pydantic takes as long as the rest of the check, and a sound config can do without.
    """
    outer, inner = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return True
    if annotation in (int, str, bool, type(None)):
        return type(value) is annotation
    if annotation is float:
        return type(value) in (int, float)
    if outer is Literal:
        return any(type(value) is type(option) and value == option for option in inner)
    if outer in (Union, UnionType):
        return any(surely_fits(value, member) for member in inner)
    if outer is list:
        return isinstance(value, list) and all(surely_fits(item, inner[0]) for item in value)
    if outer is dict:
        items = value.items() if isinstance(value, dict) else [(None, None)]
        return all(type(name) is inner[0] is str and surely_fits(item, inner[1]) for name, item in items)
    if outer is Annotated:
        return surely_fits(value, inner[0]) and all(_within(value, bounds) for bounds in inner[1:])
    return False


def _within(value: Any, bounds: object) -> bool:
    if not isinstance(bounds, Gt | Ge | Lt | Le | Interval) or type(value) not in (int, float):
        return False
    given = ((compare, getattr(bounds, name, None)) for name, compare in COMPARISONS.items())
    return all(bound is None or compare(value, bound) for compare, bound in given)


def shown(value: object) -> str:
    """A value as a config writes it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(annotation)
    except (PydanticUserError, TypeError):
        return None  # a type that only its own library can check


def _sentence(key: str, value: object, errors: Sequence[Any]) -> str:
    """One sentence for all that the members of a union have against a value: the innermost counts."""
    placed = [(*_place(key, value, error["loc"]), error) for error in errors]
    depth = max(steps for steps, *_ in placed)
    _, where, what, _ = next(place for place in placed if place[0] == depth)
    innermost = [error for steps, at, _, error in placed if (steps, at) == (depth, where)]
    given = f"{where} = {shown(what)}"

    kinds = _unique(_noun(error) for error in innermost)
    ranges = _unique(_range(error) for error in innermost)
    lengths = [e for e in innermost if e["type"] in LENGTHS]
    if ranges:
        return f"{given} is out of range: it must be {_either([*ranges, *kinds])}."
    if lengths:
        return f"{given}: {LENGTHS[lengths[0]['type']].format(**lengths[0].get('ctx', {}))}."
    if not kinds:
        return f"{given}: {innermost[0]['msg'].replace('Input should', 'it should')}."
    is_choice = [error["type"] for error in innermost] == ["literal_error"] and " or " in kinds[0]
    return f"{given} is not {'one of ' if is_choice else ''}{_either(kinds)}.{_meant(what, innermost)}"


def _place(key: str, value: Any, location: Sequence[int | str]) -> tuple[int, str, Any]:
    """How deep inside the value an error lies, its key and what stands there. Pydantic's location also
    names members of unions, which are no step."""
    steps = 0
    for part in location:
        if isinstance(value, list) and isinstance(part, int) and part < len(value):
            key, value, steps = f"{key}[{part}]", value[part], steps + 1
        elif isinstance(value, dict) and part in value:
            key, value, steps = f"{key}.{part}", value[part], steps + 1
    return steps, key, value


def _noun(error: Any) -> str | None:
    return error["ctx"]["expected"] if error["type"] == "literal_error" else NOUNS.get(error["type"])


def _range(error: Any) -> str | None:
    bounds = {name: f"{bound:.15g}" for name, bound in error.get("ctx", {}).items() if isinstance(bound, int | float)}
    return RANGES[error["type"]].format(**bounds) if error["type"] in RANGES else None


def _meant(value: object, errors: Sequence[Any]) -> str:
    options = [option.strip("' ") for e in errors for option in _options(e)]
    match = nearest(value, options) if isinstance(value, str) else None
    return f" Did you mean '{match}'?" if match else ""


def _options(error: Any) -> list[str]:
    if error["type"] != "literal_error":
        return []
    return [part for piece in error["ctx"]["expected"].split(", ") for part in piece.split(" or ")]


def _unique(words: Any) -> list[str]:
    return list(dict.fromkeys(word for word in words if word))


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
