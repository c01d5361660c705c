"""The words of a text, by their places in it. Knows no tag, no answer and no token."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"\w+|[^\w\s]")


def places(text: str, words: Sequence[str] | None) -> np.ndarray:
    """Where each word begins and ends, int64 (words, 2), in characters.

    Args:
        words: those that with a blank between them are the text; None: runs of letters and digits, and single signs.
    """
    if words is None:
        found = [match.span() for match in WORD.finditer(text)]
        return np.array(found, np.int64).reshape(-1, 2)
    lengths = np.array([len(word) for word in words], np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths + 1)])[: len(words)].astype(np.int64)
    return np.stack([starts, starts + lengths], axis=1)


def covered(spans: Sequence[tuple[int, int, str]], of: np.ndarray) -> list[tuple[int, int, str]]:
    """Spans of characters as spans of words: from the first word that a span touches to the one after the last.

    Args:
        of: the places of the words (words, 2), in their order.
    """
    firsts = np.searchsorted(of[:, 1], [start for start, *_ in spans], side="right")
    lasts = np.searchsorted(of[:, 0], [end for _, end, _ in spans], side="left")
    each = zip(firsts.tolist(), lasts.tolist(), spans, strict=True)
    return [(first, last, kind) for first, last, (*_, kind) in each if first < last]


def marked(text: str, of: np.ndarray, spans: Sequence[tuple[int, int, str]]) -> str:
    """The text with spans of its words as people read them: `[Ada Lovelace](PER) lived in [London](LOC)`.

    Args:
        of: the places of the words (words, 2).
        spans: in their order: the first word, the one after the last, and the type.
    """
    parts, place = [], 0
    for first, last, kind in spans:
        start, end = of[first, 0], of[last - 1, 1]
        parts += [text[place:start], f"[{text[start:end]}]({kind})"]
        place = end
    return "".join([*parts, text[place:]])
