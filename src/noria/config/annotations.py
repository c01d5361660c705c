"""Turns the source of an annotation into a type. Runs no code: a closed list of names is all it knows,
and whatever it does not know means Any."""

from __future__ import annotations

import ast
import typing
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Annotated, Any, Literal, Union

import annotated_types

from noria.config.source import Module, dotted_name

MAX_DEPTH = 20  # an alias may stand for an alias, but not for itself


class Unplain:
    """A type that no plain value of a config can be: in a union, it is left out."""


_BUILTINS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "list": list,
    "tuple": tuple,
    "dict": dict,
    "set": set,
    "frozenset": frozenset,
}
_TYPING: dict[str, Any] = {
    "Literal": Literal,
    "Annotated": Annotated,
    "Union": Union,
    "Optional": typing.Optional,
    "List": list,
    "Tuple": tuple,
    "Dict": dict,
    "Set": set,
    "Sequence": Sequence,
    "Iterable": Sequence,  # what a config gives is a list, and its items can be checked
    "Collection": Sequence,
    "Mapping": Mapping,
    "MutableMapping": MutableMapping,
}
_WRAPPERS = {
    "Final",
    "ClassVar",
    "Required",
    "NotRequired",
    "ReadOnly",
}  # dataclass fields: the type is inside
_CONSTRAINTS = {"Gt", "Ge", "Lt", "Le", "Interval", "MultipleOf", "MinLen", "MaxLen", "Len"}
_KNOWN: dict[str, Any] = {
    **_BUILTINS,
    **{f"builtins.{name}": value for name, value in _BUILTINS.items()},
    **{f"typing.{name}": value for name, value in _TYPING.items()},
    **{f"typing_extensions.{name}": value for name, value in _TYPING.items()},
    **{f"collections.abc.{name}": value for name, value in _TYPING.items() if name[0] in "SICM"},
    "pathlib.Path": str,
    "os.PathLike": str,
    "torch.Tensor": Unplain,
    "torch._tensor.Tensor": Unplain,
}


def evaluate(node: ast.expr | None, module: Module, depth: int = MAX_DEPTH) -> Any:
    """The type that an annotation in `module` stands for."""
    if node is None or depth <= 0:
        return Any
    if isinstance(node, ast.Constant):
        return _constant(node.value, module, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return union([evaluate(node.left, module, depth - 1), evaluate(node.right, module, depth - 1)])
    if isinstance(node, ast.Subscript):
        return _subscript(node, module, depth)
    name = dotted_name(node)
    if name is None:
        return Any
    if name in module.values:
        return evaluate(module.values[name], module, depth - 1)
    return _KNOWN.get(origin(name, module), Any)


def union(members: Sequence[Any]) -> Any:
    """One of several types. Where one of them is unknown, so is the whole."""
    plain = [member for member in members if member is not Unplain]
    if not plain or Any in plain:
        return Any if plain else Unplain
    return Union[tuple(plain)]  # noqa: UP007 - built from a list


def literal(node: ast.expr | None, module: Module) -> Any:
    """The value of a literal, or of a name that this module gives to one.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(node, ast.Name) and node.id in module.values:
        node = module.values[node.id]
    if node is None:
        raise ValueError("nothing is no literal")
    return ast.literal_eval(node)


def origin(name: str, module: Module) -> str:
    """The dotted path that a name, perhaps with attributes, stands for in a module."""
    first, dot, rest = name.partition(".")
    if first in module.definitions:
        return f"{module.name}.{name}"
    return module.imports.get(first, first) + dot + rest


def _constant(value: object, module: Module, depth: int) -> Any:
    if value is None:
        return type(None)
    if isinstance(value, str):  # an annotation in quotes
        try:
            return evaluate(ast.parse(value.strip(), mode="eval").body, module, depth - 1)
        except SyntaxError:
            return Any
    return Any


def _subscript(node: ast.Subscript, module: Module, depth: int) -> Any:
    name = dotted_name(node.value)
    full = origin(name, module) if name else ""
    if full.rpartition(".")[2] in _WRAPPERS:
        return evaluate(node.slice, module, depth - 1)
    outer = _KNOWN.get(full)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer is None:
        return Any
    if outer is Literal:
        return _literal_type(inner, module)
    if outer is Annotated:
        return _annotated(inner, module, depth)
    if outer is str or outer is Unplain:  # os.PathLike[str]
        return outer
    types = [
        ... if isinstance(item, ast.Constant) and item.value is ... else evaluate(item, module, depth - 1)
        for item in inner
    ]
    if outer is Union:
        return union(types)
    if outer is typing.Optional:
        return union([types[0], type(None)])
    return outer[tuple(Any if item is Unplain else item for item in types)]


def _literal_type(items: Sequence[ast.expr], module: Module) -> Any:
    try:
        return Literal[tuple(literal(item, module) for item in items)]
    except ValueError:  # the member of an enumeration
        return Any


def _annotated(items: Sequence[ast.expr], module: Module, depth: int) -> Any:
    inner = evaluate(items[0], module, depth - 1)
    constraints = [found for item in items[1:] if (found := _constraint(item, module)) is not None]
    return Annotated[inner, *constraints] if constraints and inner is not Any else inner


def _constraint(node: ast.expr, module: Module) -> Any:
    """`Gt(0)`, `Interval(ge=0, lt=1)`, …; None for any other metadata."""
    if not isinstance(node, ast.Call) or not (name := dotted_name(node.func)):
        return None
    package, _, kind = origin(name, module).rpartition(".")
    if package != "annotated_types" or kind not in _CONSTRAINTS:
        return None
    make: Callable[..., Any] = getattr(annotated_types, kind)
    try:
        values = [literal(argument, module) for argument in node.args]
        named = {str(keyword.arg): literal(keyword.value, module) for keyword in node.keywords}
        return make(*values, **named)
    except (ValueError, TypeError):
        return None
