"""The source files that a user's own components are made of: where they stand, and whatever of the user's own those
import. Reads text only and imports nothing. Leaves out Noria's own source, and what is installed: that has versions."""

from __future__ import annotations

import ast
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from noria.common.errors import UserError
from noria.config.source import Definition, Module, absolute, find, find_module, module_file

NOT_OWN = (Path(__file__).resolve().parents[1], *(Path(sysconfig.get_path(n)) for n in ("stdlib", "platstdlib")))
INSTALLED = ("site-packages", "dist-packages")


def own_modules(names: Iterable[str]) -> dict[str, Path]:
    """The user's own modules, by dotted name, that lie behind dotted names: of modules, or of classes or functions.

    With each module come its packages and, over any number of steps, all that it imports: anywhere in its text, so
    that an import inside a function counts. What a module asks for by a name that is computed is not seen.
    """
    found: dict[str, Path] = {}
    pending = [name for whole in names for name in (*_beginnings(whole), *_defined_in(whole))]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        file = module_file(name)
        if file is None or not file.is_file() or not _is_own(file):
            continue
        found[name] = file
        if (module := _module(name)) is not None:
            pending += [part for wanted in _imported(module) for part in _beginnings(wanted)]
    return found


def _beginnings(name: str) -> Iterator[str]:
    """`a`, `a.b` and `a.b.c` of `a.b.c`: importing the last runs the ones before it."""
    parts = name.split(".")
    if all(part.isidentifier() for part in parts):
        yield from (".".join(parts[: depth + 1]) for depth in range(len(parts)))


def _defined_in(name: str) -> Iterator[str]:
    """The module of what a dotted path names, which another module may hand on."""
    try:
        found = find(name)
    except UserError:  # a file that is no Python: the check of the config says it
        return
    if isinstance(found, Definition):
        yield found.module.name


def _module(name: str) -> Module | None:
    try:
        return find_module(name)
    except UserError:
        return None


@cache
def _is_own(file: Path) -> bool:
    place = file.resolve()
    return not any(part in INSTALLED for part in place.parts) and not any(map(place.is_relative_to, NOT_OWN))


@cache
def _imported(module: Module) -> tuple[str, ...]:
    """What a module imports; of `from a import b` both `a` and `a.b`, which may be a module as well."""
    names: list[str] = []
    for node in ast.walk(ast.parse(module.file.read_bytes())):
        match node:
            case ast.Import():
                names += [alias.name for alias in node.names]
            case ast.ImportFrom():
                source = absolute(module, node)
                names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[first, *_]):
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    names.append(first.value)
    return tuple(dict.fromkeys(names))
