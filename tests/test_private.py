"""No test reaches into a private attribute or takes a private name: what it needs is public, or behaviour."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
THEIRS = {
    "_target_": "Hydra's key",
    "_exit": "os._exit: the end of a fork, which must not run pytest's own",
    "_attn_implementation": "of a config of transformers, which has no public one",
    "_metric_component": "of Lightning's progress bar: where it shows the numbers",
}


def reached(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each `object._private` that is not `self._…`, and of each `from noria.… import _private`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and node.attr not in THEIRS:
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("noria"):
            for name in node.names:
                if name.name.startswith("_") and not name.name.startswith("__"):
                    yield node.lineno, name.name


def test_no_test_reaches_into_what_is_private() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line}: {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, name in reached(ast.parse(path.read_text()))
    ]
    assert not found


def test_it_is_seen() -> None:
    source = "from noria.a import _b\nstore._database.read()\nself._own\nos._exit(0)\ncfg._target_\nx.__class__\n"
    assert [name for _, name in reached(ast.parse(source))] == ["_b", "_database"]
