"""How much text each token stands for, in bytes and in words: what a loss is divided by that no tokenizer decides.

Knows characters and offsets, not what is learnt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

NO_TEXT = -1  # stands for the bytes of a token that is not text, such as the end of a turn
WORD = re.compile(r"\S+")


def sizes(
    text: str,
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    special: Collection[int],
    spans: Sequence[tuple[int, int]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The bytes in UTF-8 that each token adds, and the words that begin in it: int32 (length,) each.

    Over a whole text the bytes are those of the text: what the tokenizer leaves out, such as the space before a word,
    counts with the token after it. A word is what stands between white space, special tokens, and the ends of spans.

    Args:
        offsets: of the tokens: their first characters, and those after their last.
        special: ids of tokens that are no text; they have -1 bytes.
        spans: [start, end) of characters; words are counted in each of them apart. None: in the whole text.
    """
    if not ids:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    upto = np.concatenate([[0], np.cumsum(1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000))])
    ends = np.maximum.accumulate(np.array([end for _, end in offsets]))
    before = np.concatenate([[0], ends[:-1]])
    is_text = ~np.isin(np.array(ids), list(special))
    found = upto[ends] - upto[before]
    if is_text.any():  # what stands after the last token
        found[np.flatnonzero(is_text)[-1]] += upto[-1] - upto[ends[-1]]
    plain = list(text)
    for (start, end), known in zip(offsets, is_text, strict=True):
        if not known:
            plain[start:end] = " " * (end - start)
    cleared = "".join(plain) if not is_text.all() else text
    whole = [(0, len(text))] if spans is None else spans
    starts = np.array([a + match.start() for a, b in whole for match in WORD.finditer(cleared[a:b])], np.int64)
    words = np.searchsorted(starts, ends) - np.searchsorted(starts, before)
    return np.where(is_text, found, NO_TEXT).astype(np.int32), np.where(is_text, words, 0).astype(np.int32)
