"""Passages by their words: BM25 (Robertson et al. 1994), by bm25s. Knows no vectors."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from noria.common.errors import UserError
from noria.data.rows.split import normalise

STOP_WORDS = {
    "english": "en", "german": "de", "dutch": "nl", "french": "fr", "spanish": "es", "portuguese": "pt",
    "italian": "it", "russian": "ru", "swedish": "sv", "norwegian": "no",
}  # fmt: skip


class Lexical:
    """An index of words.

    Args:
        made: bm25s's own; None where no passage has a word.
        count: how many passages there are.
        language: whose word endings are cut off and whose most frequent words are left out; None: nothing is.
    """

    def __init__(self, made: Any, count: int, language: str | None) -> None:
        self._made, self._count, self._language = made, count, language

    @classmethod
    def build(cls, texts: Sequence[str], k1: float, b: float, language: str | None) -> Lexical:
        words = _words(texts, language)
        if not any(words):
            return cls(None, len(texts), language)
        made = import_module("bm25s").BM25(method="lucene", k1=k1, b=b)
        made.index(words, show_progress=False)
        return cls(made, len(texts), language)

    @classmethod
    def open(cls, folder: Path, count: int, language: str | None) -> Lexical:
        """As `save` has left it, mapped from the disk."""
        there = folder.is_dir()
        return cls(import_module("bm25s").BM25.load(folder, mmap=True) if there else None, count, language)

    def save(self, folder: Path) -> None:
        if self._made is not None:
            self._made.save(folder, show_progress=False)

    def scores(self, query: str) -> np.ndarray:
        """Of each passage (passages,), float32; 0 where it has no word of the query."""
        (words,) = _words([query], self._language)
        if self._made is None or not words:
            return np.zeros(self._count, np.float32)
        found: np.ndarray = self._made.get_scores(words)
        return found


def check_language(language: str | None) -> None:
    """Refuses a language whose words are not known.

    Raises:
        UserError: as above.
    """
    if language is not None and language not in STOP_WORDS:
        raise UserError(f"stage.language={language}: known are {', '.join(STOP_WORDS)}, and null for any other.")


def _words(texts: Sequence[str], language: str | None) -> list[list[str]]:
    """The words of texts as they are compared: in one form of Unicode and of their letters' case, without endings."""
    import Stemmer

    library: Any = import_module("bm25s")
    stemmer = None if language is None else Stemmer.Stemmer(language)
    found: list[list[str]] = library.tokenize(
        [normalise(text) for text in texts], stopwords=STOP_WORDS[language] if language else [], stemmer=stemmer,
        return_ids=False, show_progress=False,
    )  # fmt: skip
    return found
