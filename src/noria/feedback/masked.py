"""Where personal data was taken out of a text, so that places in the text as it was sent are found in what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KEY = "masked"  # of a request: by the name of a text, its masked pieces

Piece = Sequence[int]
"""Where a masked piece began and ended in the text as it was sent, and how long it is now, in characters."""


def pieces_of(request: dict[str, Any], name: str) -> list[Piece]:
    """The masked pieces of one text of a kept request, in their order."""
    return list(request.get(KEY, {}).get(name, ()))


def sent_length(text: str, pieces: Sequence[Piece]) -> int:
    """How long a kept text was when it was sent."""
    return len(text) + sum(end - start - now for start, end, now in pieces)


def kept_span(start: int, end: int, pieces: Sequence[Piece]) -> tuple[int, int]:
    """Where characters of the text as it was sent lie in the kept text.

    A span that touches a masked piece has the whole of it: nobody knows any more what stood where in it.
    """
    return _kept(start, pieces, is_end=False), _kept(end, pieces, is_end=True)


def _kept(place: int, pieces: Sequence[Piece], is_end: bool) -> int:
    moved = 0
    for begin, stop, now in pieces:
        if stop <= place:
            moved += now - (stop - begin)
        elif begin < place or (begin == place and not is_end):
            return begin + moved + (now if is_end else 0)
        else:
            break
    return place + moved
