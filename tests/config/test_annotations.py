from __future__ import annotations

import ast
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, MinLen

from noria.config.annotations import evaluate, literal
from noria.config.source import Module, find_module

HEADER = """
from __future__ import annotations
import typing as t
import annotated_types as at
import torch
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Optional, TypeAlias, Union
from annotated_types import Ge, Gt, Interval, MinLen
from somewhere import Unknown
from torch import Tensor

Names = Literal["a", "b"]
Share: TypeAlias = Annotated[float, Interval(ge=0, le=1)]
Deep = Names | None
Loop = Loop2
Loop2 = Loop
LIMIT = 3
"""


@pytest.fixture
def module(write) -> Module:
    write({"annotated_module.py": HEADER})
    found = find_module("annotated_module")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int", int),
        ("int | None", int | None),
        ("Optional[str]", str | None),
        ("Union[int, str]", int | str),
        ("t.Union[int, None]", int | None),
        ("list[str]", list[str]),
        ("t.List[int]", list[int]),
        ("tuple[int, ...]", tuple[int, ...]),
        ("tuple[float, float]", tuple[float, float]),
        ("dict[str, list[int]]", dict[str, list[int]]),
        ("Iterable[int]", Sequence[int]),
        ('Literal["x", 1, None]', Literal["x", 1, None]),
        ("Literal[-1]", Literal[-1]),
        ("Annotated[float, Gt(0)]", Annotated[float, Gt(0)]),
        ("Annotated[float, at.Interval(ge=0, lt=1)] | None", Annotated[float, Interval(ge=0, lt=1)] | None),
        ("Annotated[list[int], MinLen(2)]", Annotated[list[int], MinLen(2)]),
        ("Annotated[int, Ge(LIMIT)]", Annotated[int, Ge(3)]),
        ("Annotated[int, 'documentation']", int),
        ("Names", Literal["a", "b"]),
        ("Share", Annotated[float, Interval(ge=0, le=1)]),
        ("Deep", Literal["a", "b"] | None),
        ("'int | None'", int | None),
        ("Path", str),
        ("Final[int]", int),
        ("float | Tensor", float),
        ("tuple[float | torch.Tensor, float]", tuple[float, float]),
        ("Unknown", Any),
        ("Unknown | int", Any),
        ("list[Unknown]", list[Any]),
        ("Callable[[int], int]", Any),
        ("undefined", Any),
        ("Loop", Any),
        ("int if LIMIT else str", Any),
        ("'not ( python'", Any),
        ("Literal[Color.RED]", Any),
    ],
)
def test_evaluates(module, text, expected):
    assert evaluate(ast.parse(text, mode="eval").body, module) == expected


def test_runs_no_code(module, tmp_path: Path):
    touched = tmp_path / "touched"
    for text in (
        f"Annotated[int, Gt(open({str(touched)!r}, 'w'))]",
        f"Annotated[int, Gt(0, (lambda: open({str(touched)!r}, 'w'))())]",
        f"Literal[open({str(touched)!r}, 'w').name]",
        f"open({str(touched)!r}, 'w')",
    ):
        assert evaluate(ast.parse(text, mode="eval").body, module) in (int, Any)
    assert not touched.exists()


def test_a_type_statement_is_an_alias(write):
    if not hasattr(ast, "TypeAlias"):
        pytest.skip("this Python does not know the type statement")
    write({"typed_module.py": "type Size = int | None\n"})
    module = find_module("typed_module")
    assert module is not None
    assert evaluate(ast.parse("Size", mode="eval").body, module) == typing.Optional[int]  # noqa: UP045


def test_literals(module):
    assert literal(ast.parse("('a', 1)", mode="eval").body, module) == ("a", 1)
    assert literal(ast.parse("LIMIT", mode="eval").body, module) == 3
    with pytest.raises(ValueError):
        literal(ast.parse("f(1)", mode="eval").body, module)
