"""The page for people: one frame for all models, and the pieces of a model's form that ask, show and correct."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from noria.task.service import Service

FRAME = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
PIECE = re.compile(r"<!-- piece: (\w+) -->\n?")


def page(service: Service) -> str:
    """The page of a model's service."""
    return _filled(service.pieces)


@cache
def _filled(paths: tuple[Path, ...]) -> str:
    pieces: dict[str, str] = {}
    for path in paths:
        _, *parts = PIECE.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            pieces[name] = pieces.get(name, "") + text
    return PIECE.sub(lambda place: pieces[place[1]], FRAME)
