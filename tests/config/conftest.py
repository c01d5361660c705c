"""Small packages of source files, written for one test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files (path -> content) below a folder on `sys.path`, and gives the folder."""
    folder = tmp_path / "library"
    folder.mkdir()

    def write_files(files: dict[str, str]) -> Path:
        for path, content in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(content), encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return write_files


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a package that follows Noria's constructor rule."""
    monkeypatch.setattr("noria.config.signature.HOUSE", "house")
    return "house"
