from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Len, Lt, MinLen, MultipleOf
from pydantic import TypeAdapter, ValidationError

from noria.config.values import complaint, shown

Share = Annotated[int, Ge(0)] | Annotated[float, Interval(ge=0, le=1)]

FITS = [
    (1, int),
    (1, float),
    (1e-4, float),
    (None, int | None),
    ([1, 2], list[float]),
    ([0.9, 0.999], tuple[float, float]),
    ([1, 2], set[int]),
    ({"a": [1]}, dict[str, list[int]]),
    ("b", Literal["a", "b"]),
    (7, Share),
    (0.5, Share),
    (float("inf"), float),
    ("anything", Any),
    (True, bool),
]
WRONG = [
    (-1, Annotated[float, Gt(0)], "lr = -1 is out of range: it must be greater than 0."),
    (1.0, Annotated[float, Interval(ge=0, lt=1)], "lr = 1.0 is out of range: it must be less than 1."),
    (-1, Annotated[int, Interval(ge=0, le=2**32 - 1)], "lr = -1 is out of range: it must be at least 0."),
    (2**32, Annotated[int, Interval(ge=0, le=2**32 - 1)], "must be at most 4294967295."),
    (1.5, Share, "lr = 1.5 is out of range: it must be at most 1 or a whole number."),
    (7, Annotated[int, MultipleOf(8)], "must be a multiple of 8."),
    ("ten", int, "lr = 'ten' is not a whole number."),
    ("3", int, "lr = '3' is not a whole number."),
    (1.0, int, "lr = 1.0 is not a whole number."),
    (True, int, "lr = true is not a whole number."),
    (True, float, "lr = true is not a number."),
    (None, float, "lr = null is not a number."),
    (1, bool, "lr = 1 is not true or false."),
    (1, str, "lr = 1 is not text."),
    (3, list[int], "lr = 3 is not a list."),
    (3, dict[str, int], "lr = 3 is not a group of keys."),
    (1.5, list[int] | str | int, "lr = 1.5 is not a list, text or a whole number."),
    ("c", Literal["a", "b"], "lr = 'c' is not one of 'a' or 'b'."),
    ("singel", Literal["single", "multi"], "Did you mean 'single'?"),
    ([1, "x"], list[float] | Literal["balanced"], "lr[1] = 'x' is not a number."),
    ({"a": {"b": "x"}}, dict[str, dict[str, int]], "lr.a.b = 'x' is not a whole number."),
    ([1], Annotated[list[int], MinLen(2)], "lr = [1]: it must have at least 2 items."),
    ([1, 2, 3], tuple[int, int], "lr = [1, 2, 3]: it must have exactly 2 items."),
    ([1], tuple[int, int], "lr = [1]: it must have exactly 2 items."),
    ("", Annotated[str, MinLen(1)], "lr = '': it must have at least 1 characters."),
]


@pytest.mark.parametrize(("value", "annotation"), FITS)
def test_fits(value, annotation):
    assert complaint("lr", value, annotation) is None


@pytest.mark.parametrize(("value", "annotation", "said"), WRONG)
def test_says_what_is_wrong(value, annotation, said):
    sentence = complaint("lr", value, annotation)
    assert sentence is not None and said in sentence


def test_agrees_with_pydantic():
    """Its strict reading of JSON is the reference."""
    annotations = [kind for _, kind in FITS] + [kind for _, kind, _ in WRONG]
    annotations += [
        str | None,
        bool | Literal["warn"],
        list[str] | None,
        dict[str, Any] | None,
        Mapping[str, float],
        Sequence[str],
        tuple[int, ...],
        Annotated[float, Lt(0)],
        Annotated[list[int], Len(1, 2)],
    ]
    values = [value for value, _ in FITS] + [value for value, *_ in WRONG] + [0, 0.0, "a", [], {}, [True], -0.5]
    verdicts = {True: 0, False: 0}
    for annotation, value in itertools.product(annotations, values):
        fits = complaint("lr", value, annotation) is None
        try:
            TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
            expected = True
        except ValidationError:
            expected = False
        assert fits == expected, f"{value!r} as {annotation}"
        verdicts[fits] += 1
    assert min(verdicts.values()) > 100


def test_a_type_of_some_library_is_not_checked():
    class Strange: ...

    assert complaint("x", 3, Strange) is None


def test_values_are_shown_as_a_config_writes_them():
    assert [shown(value) for value in (None, True, "a", 1e-4)] == ["null", "true", "'a'", "0.0001"]
