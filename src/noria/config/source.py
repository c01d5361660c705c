"""Finds classes and functions in source files by their dotted path. Reads text only and imports nothing,
so it does not know what a module does when it runs."""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from noria.common.errors import UserError

MAX_HOPS = 12  # re-exports followed from one name to its definition

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(eq=False)
class Module:
    """One source file: what its top level binds to names."""

    name: str
    file: Path
    is_package: bool
    definitions: dict[str, ast.ClassDef | Function] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # local name -> the dotted path it stands for
    values: dict[str, ast.expr] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {*self.definitions, *self.imports, *self.values}


@dataclass(frozen=True, eq=False)
class Definition:
    """A class or a function, and the file where it stands. `owner` is the class of a method."""

    module: Module
    node: ast.ClassDef | Function
    owner: ast.ClassDef | None = None

    @property
    def path(self) -> str:
        return ".".join([self.module.name, *([self.owner.name] if self.owner else []), self.node.name])


@dataclass(frozen=True)
class Opaque:
    """Something of that name exists, or may: its source does not tell what it is."""


Found = Definition | Module | Opaque | None


def find(path: str) -> Found:
    """What a dotted path names; None if there is no such thing."""
    return _resolve(path, MAX_HOPS)


def find_in(module: Module, dotted: str, hops: int = MAX_HOPS) -> Found:
    """What a name, perhaps with attributes, means inside a module."""
    first, *rest = dotted.split(".")
    return _attributes(_lookup(module, first, hops), rest, hops)


def find_module(name: str) -> Module | None:
    """The module of that dotted name, read from its file; None if there is no such source file."""
    place = module_file(name)
    if place is None or place.suffix != ".py":
        return None
    return _read(name, place, place.stat().st_mtime_ns)


def class_member(definition: Definition, name: str, hops: int = MAX_HOPS) -> Definition | None:
    """The method of that name, own or inherited."""
    assert isinstance(definition.node, ast.ClassDef)
    for node in reversed(definition.node.body):  # of overloads, the last is the real one
        if isinstance(node, Function) and node.name == name:
            return Definition(definition.module, node, definition.node)
    for base in bases(definition, hops):
        if isinstance(base, Definition) and (found := class_member(base, name, hops - 1)):
            return found
    return None


def bases(definition: Definition, hops: int = MAX_HOPS) -> list[Found]:
    """What the base classes of a class are, in order; `object` is left out."""
    assert isinstance(definition.node, ast.ClassDef)
    found: list[Found] = []
    for expression in definition.node.bases:
        dotted = dotted_name(expression.value if isinstance(expression, ast.Subscript) else expression)
        if dotted != "object":
            found.append(find_in(definition.module, dotted, hops - 1) if dotted and hops > 0 else Opaque())
    return found


def dotted_name(node: ast.expr) -> str | None:
    """`a.b.c` of a name with attributes; None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := dotted_name(node.value)):
        return f"{inner}.{node.attr}"
    return None


def submodules(name: str) -> list[str]:
    """The names of the modules directly inside a package."""
    names: set[str] = set()
    for folder in _folders(name):
        for entry in os.scandir(folder):
            stem, suffix = os.path.splitext(entry.name)
            if suffix == ".py" or (entry.is_dir() and stem.isidentifier() and not suffix):
                names.add(stem)
    return sorted(names - {"__init__", "__pycache__"})


def _resolve(path: str, hops: int) -> Found:
    if hops <= 0:
        return Opaque()
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    depth = 0
    while depth < len(parts) and module_file(".".join(parts[: depth + 1])):
        depth += 1
    if depth == 0:
        return None
    if depth == len(parts) and depth > 1:
        # A package may bind a class or function to the name of its submodule; an attribute comes first.
        package = find_module(".".join(parts[:-1]))
        if package and isinstance(found := _lookup(package, parts[-1], hops), Definition):
            return found
    name = ".".join(parts[:depth])
    return _attributes(find_module(name) or Opaque(), parts[depth:], hops)


def _attributes(start: Found, names: list[str], hops: int) -> Found:
    found = start
    for name in names:
        if isinstance(found, Module):
            found = _lookup(found, name, hops)
        elif isinstance(found, Definition):
            found = class_member(found, name, hops) if isinstance(found.node, ast.ClassDef) else None
        else:
            return found
    return found


def _lookup(module: Module, name: str, hops: int) -> Found:
    if hops <= 0:
        return Opaque()
    if name in module.definitions:
        return Definition(module, module.definitions[name])
    if name in module.imports:
        return _resolve(module.imports[name], hops - 1) or Opaque()
    if name in module.values:
        dotted = dotted_name(module.values[name])
        return (find_in(module, dotted, hops - 1) if dotted else None) or Opaque()
    if module.is_package and (submodule := find_module(f"{module.name}.{name}")):
        return submodule
    for star in module.stars:
        source = find_module(star)
        if source is None:
            return Opaque()
        if not name.startswith("_") and (found := _lookup(source, name, hops - 1)):
            return found
    return Opaque() if "__getattr__" in module.definitions else None


def module_file(name: str) -> Path | None:
    """The file of a module (`__init__.py` of a package, a compiled one too), or the folder of a namespace."""
    parent, _, last = name.rpartition(".")
    if not parent:
        spec = _top_level(name)
        if spec is None:
            return None
        if spec.origin and spec.has_location:
            return Path(spec.origin)
        folders = [Path(folder) for folder in spec.submodule_search_locations or []]
        return folders[0] if folders else Path(name)  # a built-in module has no file
    for folder in _folders(parent):
        listed = _listed(folder)
        if last in listed and (folder / last / "__init__.py").is_file():
            return folder / last / "__init__.py"
        if f"{last}.py" in listed:
            return folder / f"{last}.py"
        if compiled := [name for name in listed if name.startswith(f"{last}.") and name.endswith((".so", ".pyd"))]:
            return folder / compiled[0]
        if last in listed and (folder / last).is_dir():
            return folder / last
    return None


def _folders(package: str) -> Iterator[Path]:
    """The folders in which the modules of a package lie; none for a plain module."""
    if "." not in package:
        spec = _top_level(package)
        locations = spec.submodule_search_locations if spec else None
        yield from (Path(folder) for folder in locations or [])
        return
    place = module_file(package)
    if place and place.name == "__init__.py":
        yield place.parent
    elif place and place.is_dir():
        yield place


def _top_level(name: str) -> importlib.machinery.ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)  # of a name without a dot: looks, imports nothing
    except (ImportError, ValueError):
        return None


def _listed(folder: Path) -> set[str]:
    """The names in a folder, in their very case: some file systems ignore case, Python never does."""
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


@cache
def _read(name: str, file: Path, modified: int) -> Module:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: this is not Python: {error.msg}.") from error
    module = Module(name, file, file.name == "__init__.py")
    for statement in _statements(tree.body):
        _bind(module, statement)
    return module


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a top level, also under `if`, `try` and `with`: what should win comes last."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _statements(statement.orelse)
            yield from _statements(statement.body)
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _statements(handler.body)
            for part in (statement.body, statement.orelse, statement.finalbody):
                yield from _statements(part)
        elif isinstance(statement, ast.With):
            yield from _statements(statement.body)
        else:
            yield statement


def _bind(module: Module, statement: ast.stmt) -> None:
    if isinstance(statement, ast.ClassDef | Function):
        module.definitions[statement.name] = statement
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            bound = alias.asname or alias.name.partition(".")[0]
            module.imports[bound] = alias.name if alias.asname else bound
    elif isinstance(statement, ast.ImportFrom):
        source = absolute(module, statement)
        for alias in statement.names:
            if alias.name == "*":
                module.stars.append(source)
            else:
                module.imports[alias.asname or alias.name] = f"{source}.{alias.name}"
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                module.values[target.id] = statement.value
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value:
        module.values[statement.target.id] = statement.value
    elif type(statement).__name__ == "TypeAlias":  # `type X = …`, Python 3.12
        module.values[statement.name.id] = statement.value  # type: ignore[attr-defined]


def absolute(module: Module, statement: ast.ImportFrom) -> str:
    """The dotted name of the module that `from … import` names, in a module."""
    if not statement.level:
        return statement.module or ""
    parts = module.name.split(".")
    kept = parts[: len(parts) - statement.level + (1 if module.is_package else 0)]
    return ".".join([*kept, *([statement.module] if statement.module else [])])
