"""What a target takes: the keys of its config with their types, read from its source. Never imports it,
so it does not know what the values do."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from noria.common.errors import UserError, did_you_mean
from noria.config import source
from noria.config.annotations import Unplain, evaluate, literal, origin, union
from noria.config.source import Definition, Function, Module, Opaque, dotted_name

MAX_BASES = 12
HOUSE = "noria"  # in this package config keys are the keyword-only parameters; elsewhere all of them


@dataclass(frozen=True)
class Parameter:
    """One key of a config: its type, and whether it must be given."""

    annotation: Any
    required: bool


@dataclass(frozen=True)
class Signature:
    """The keys a target takes.

    Args:
        path: where the class or function is defined; None when only running its library could tell.
        keys: by name.
        supplied: parameters that code supplies, never a config.
        open: further keys may be right, for a `**kwargs` that leads out of sight.
        is_method: it is not a class or a function of a module, but a method.
    """

    path: str | None
    keys: Mapping[str, Parameter]
    supplied: frozenset[str] = frozenset()
    open: bool = False
    is_method: bool = False


UNKNOWN = Signature(None, MappingProxyType({}), open=True)


def read(target: str) -> Signature:
    """The signature of the class or function that a dotted path names.

    Raises:
        UserError: there is no such thing.
    """
    found = source.find(target)
    if isinstance(found, Opaque):
        return UNKNOWN
    if not isinstance(found, Definition):
        raise UserError(missing(target))
    return _signature(found)


def class_attributes(target: str) -> dict[str, object]:
    """The literal attributes of a class, own and inherited; none for a function or an unreadable class.

    Bases outside Noria and the package of the target are not followed: no rule asks for what they say.
    """
    found = source.find(target)
    if not isinstance(found, Definition):
        return {}
    return _attributes(found, {HOUSE, found.module.name.partition(".")[0]}, MAX_BASES)


def missing(target: str) -> str:
    """A sentence on a dotted path that names no class or function, with what was probably meant."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts) or len(parts) < 2:
        return f"'{target}' is no dotted path to a class or function, such as package.module.Class."
    for depth in range(1, len(parts) + 1):
        found = source.find(".".join(parts[:depth]))
        if found is None:
            break
    else:
        return f"'{target}' is a file or folder: name a class or function in it. {_choices(target)}".rstrip()
    parent, name = ".".join(parts[: depth - 1]), parts[depth - 1]
    if not parent:
        return f"'{target}': there is no package '{name}'. Install it, or put its folder on PYTHONPATH."
    return f"'{target}': there is no '{name}' in {parent}. {_choices(parent, name)}".rstrip()


def _signature(found: Definition) -> Signature:
    if isinstance(found.node, ast.ClassDef):
        signature = _constructor(found, MAX_BASES)
    else:
        is_static = any(dotted_name(item) == "staticmethod" for item in found.node.decorator_list)
        signature = _parameters(found, skip_first=found.owner is not None and not is_static)
    return Signature(found.path, signature.keys, signature.supplied, signature.open, found.owner is not None)


def _constructor(found: Definition, depth: int) -> Signature:
    """The signature of a class: its `__init__`, its fields, its `__new__`, or its base's."""
    if depth <= 0:
        return UNKNOWN
    own = {node.name: node for node in _body(found) if isinstance(node, Function)}
    if method := own.get("__init__"):
        signature = _parameters(Definition(found.module, method, _class(found)), skip_first=True)
        if signature.open and method.args.kwarg and _in_house(found.module):
            return _with_base(signature, method, _base(found, depth))
        return signature
    if _has_fields(found):
        return _fields(found, depth)
    if (method := own.get("__new__")) and len(method.args.args) + len(method.args.kwonlyargs) > 1:
        return _parameters(Definition(found.module, method, _class(found)), skip_first=True)
    return _base(found, depth)


def _base(found: Definition, depth: int) -> Signature:
    """The signature of the first base class that has one."""
    for base in source.bases(found):
        if not isinstance(base, Definition) or not isinstance(base.node, ast.ClassDef):
            return UNKNOWN
        signature = _constructor(base, depth - 1)
        if signature.keys or signature.supplied or signature.open:
            return signature
    return Signature(None, {})


def _with_base(own: Signature, method: Function, base: Signature) -> Signature:
    """`**kwargs` means: and the base's keys, but for those that `super().__init__` is given here by name."""
    given: set[str] = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and any(keyword.arg is None for keyword in node.keywords):
            given |= {keyword.arg for keyword in node.keywords if keyword.arg}
    inherited = {name: key for name, key in base.keys.items() if name not in given}
    return Signature(None, {**inherited, **own.keys}, own.supplied | base.supplied, base.open)


def _parameters(found: Definition, *, skip_first: bool) -> Signature:
    """The signature of a function, read from its own parameters."""
    assert isinstance(found.node, Function)
    arguments = found.node.args
    positional = [*arguments.posonlyargs, *arguments.args][1 if skip_first else 0 :]
    keys: dict[str, Parameter] = {}
    if not _in_house(found.module):
        # Code may supply what has no default, so none of these is required.
        defaults = [*[None] * len(positional), *arguments.defaults]
        for argument, default in zip(reversed(positional), reversed(defaults), strict=False):
            keys[argument.arg] = _parameter(argument.annotation, default, found.module, required=False)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        keys[argument.arg] = _parameter(argument.annotation, default, found.module, required=default is None)
    supplied = frozenset(argument.arg for argument in positional) - keys.keys()
    return Signature(None, keys, supplied, open=arguments.kwarg is not None)


def _parameter(annotation: ast.expr | None, default: ast.expr | None, module: Module, *, required: bool) -> Parameter:
    kind = evaluate(annotation, module)
    if isinstance(default, ast.Constant) and default.value is None:
        kind = union([kind, type(None)])  # an implicit Optional, as older code writes it
    return Parameter(Any if kind is Unplain else kind, required)


def _has_fields(found: Definition) -> bool:
    return _dataclass(found) is not None or any(
        (dotted_name(base) or "").rpartition(".")[2] in ("NamedTuple", "TypedDict") for base in _class(found).bases
    )


def _dataclass(found: Definition) -> ast.expr | None:
    """The `@dataclass` decorator of a class."""
    for decorator in _class(found).decorator_list:
        name = dotted_name(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if name and name.rpartition(".")[2] == "dataclass":
            return decorator
    return None


def _fields(found: Definition, depth: int) -> Signature:
    """The fields of a dataclass or named tuple; a required one can be told only where it is keyword-only."""
    keys: dict[str, Parameter] = {}
    for base in source.bases(found):
        if isinstance(base, Definition) and isinstance(base.node, ast.ClassDef) and _has_fields(base) and depth > 0:
            keys.update(_fields(base, depth - 1).keys)
    decorator = _dataclass(found)
    keyword_only = isinstance(decorator, ast.Call) and any(
        keyword.arg == "kw_only" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in decorator.keywords
    )
    for node in _body(found):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        if "ClassVar" in ast.unparse(node.annotation) or "init=False" in ast.unparse(node):
            continue
        required = keyword_only and node.value is None
        keys[node.target.id] = _parameter(node.annotation, node.value, found.module, required=required)
    return Signature(None, keys)


def _attributes(found: Definition, packages: set[str], depth: int) -> dict[str, object]:
    if not isinstance(found.node, ast.ClassDef) or depth <= 0:
        return {}
    values: dict[str, object] = {}
    for expression in reversed(found.node.bases):
        name = dotted_name(expression)
        if name is None or origin(name, found.module).partition(".")[0] not in packages:
            continue  # not even read: Lightning's files are long
        base = source.find_in(found.module, name)
        if isinstance(base, Definition):
            values.update(_attributes(base, packages, depth - 1))
    for node in _body(found):
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        try:
            values.update(dict.fromkeys(names, literal(node.value, found.module)))
        except ValueError:
            for name in names:
                values.pop(name, None)  # computed here: what the base says no longer holds
    return values


def _body(found: Definition) -> Iterator[ast.stmt]:
    yield from _class(found).body


def _class(found: Definition) -> ast.ClassDef:
    assert isinstance(found.node, ast.ClassDef)
    return found.node


def _in_house(module: Module) -> bool:
    return module.name.partition(".")[0] == HOUSE


def _choices(path: str, name: str = "") -> str:
    """The public classes, functions and modules under a path, or the one that was probably meant."""
    found = source.find(path)
    names = source.submodules(path)
    if isinstance(found, Module):
        names += [*found.definitions, *found.imports] if found.is_package else list(found.definitions)
    return did_you_mean(name, {option for option in names if not option.startswith("_")})
