"""What a kind of work is stands in its folder under `task/` and nowhere else in the source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import noria
from noria.task.form import Form
from noria.task.kind import Kind

SOURCE = Path(noria.__file__).parent
TASKS = SOURCE / "task"
FOLDERS = sorted(path.parent for path in TASKS.glob("*/kind.py"))
# What older files say has to be understood: these name the kinds of then.
OLDER = [SOURCE / name for name in ("artifact/format1.py", "config/moved.py")]
OLDER += (SOURCE / "feedback/migrations/versions").glob("*.py")


def names() -> set[str]:
    """The words by which something outside could tell one kind from another."""
    found = {folder.name for folder in FOLDERS}
    for folder in FOLDERS:
        for path in (folder / "form.py", folder / "kind.py"):
            classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
            found |= {node.name for node in classes}
            for part in (part for node in classes for part in node.body if isinstance(part, ast.AnnAssign)):
                if ast.unparse(part.target) == "answers" and part.value is not None:
                    found |= set(ast.literal_eval(part.value))
    return found - {"regression"}  # which transformers calls a problem's type, too


def outside() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the source outside `task/`, with its place."""
    for path in [*SOURCE.rglob("*.py"), *(SOURCE.parent / "hydra_plugins").rglob("*.py")]:
        if TASKS not in path.parents and path not in OLDER:
            for node in ast.walk(ast.parse(path.read_text())):
                yield f"{path.relative_to(SOURCE.parent)}:{getattr(node, 'lineno', 0)}", node


def said(node: ast.AST) -> list[str]:
    """The names in a node; of a text its parts, unless it is a sentence."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.ImportFrom):
        return [*(node.module or "").split("."), *(alias.name for alias in node.names)]
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value.split()) == 1:
        return [node.value, *node.value.split(".")]
    return []


def test_there_are_kinds_to_look_for() -> None:
    assert len(FOLDERS) >= 2
    assert {"single_label", "CausalLM", "TextClassificationForm", "text_classification"} <= names()


def test_no_file_outside_names_a_kind() -> None:
    wanted = names()
    found = [f"{place}: {name}" for place, node in outside() for name in said(node) if name in wanted]
    assert not found, found


def test_no_file_outside_asks_which_kind_an_object_is() -> None:
    kinds = {"Form", "Kind"} | names()
    found = []
    for place, node in outside():
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            asked = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            found += [f"{place}: {name}" for name in asked & kinds]
    assert not found, found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folders_do_not_know_each_other(folder: Path) -> None:
    others = [f"noria.task.{other.name}." for other in FOLDERS if other != folder]
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not any(f"{node.module}.".startswith(other) for other in others), f"{path}: {node.module}"


@pytest.mark.parametrize("part", [Form, Kind])
def test_what_every_kind_has_says_what_it_is(part: type) -> None:
    public = [value for name, value in vars(part).items() if inspect.isfunction(value) and not name.startswith("_")]
    assert public and all(value.__doc__ for value in public)
