"""Tokens of rows that have several texts each, a query, a document and wrong ones, side by side. Knows no network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from noria.data.batch.encoded import Encoded, padded
from noria.data.batch.tokens import Tokens

NO_TEXT = -1  # the number of a text that a row lacks


class EncodedTexts(Encoded):
    """Rows with as many texts each; where a row has fewer, empty ones stand that no loss and no metric counts.

    A batch has as `input_ids` and `attention_mask` all first texts, then all second ones, and so on (texts * examples x
    longest); and `texts` (int64, examples x texts): a number by which equal texts are told. `targets` are what the two
    first should be to each other, from 0 to 1, where that is known.

    Args:
        parts: the tokens of the first texts of all rows, of the second ones, and so on.
        texts: (rows, texts), the number of each text; `NO_TEXT` where a row has none.
        targets: (rows,), float32.
    """

    def __init__(
        self, parts: Sequence[Tokens], texts: np.ndarray, targets: np.ndarray | None, pad_id: int, pad_type_id: int
    ) -> None:
        super().__init__(parts[0], None, pad_id, pad_type_id)
        self.parts, self.texts, self.targets = list(parts), texts, targets
        self._lengths = sum((part.lengths.astype(np.int32) for part in parts), np.zeros(len(parts[0]), np.int32))

    @property
    def lengths(self) -> np.ndarray:
        """The tokens of all texts of a row."""
        return self._lengths

    @property
    def truncated(self) -> int:
        return int(np.logical_or.reduce([part.cut for part in self.parts]).sum())

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        index = np.asarray(indices, np.int64)
        rows = np.where(index < 0, -1 - index, index)
        lengths = np.concatenate([part.lengths[rows] for part in self.parts])
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]
        ids = [part.ids(row) for part in self.parts for row in rows]
        batch = {"input_ids": padded(there, ids, self.pad_id), "attention_mask": there.astype(np.int64)}
        if self.tokens.has_types:
            types = [part.types(row) for part in self.parts for row in rows]
            batch["token_type_ids"] = padded(there, types, self.pad_type_id)
        batch |= {"texts": self.texts[rows], "index": np.maximum(index, -1)}
        if self.targets is not None:
            batch["targets"] = self.targets[rows]
        return batch


def text_numbers(texts: Iterable[str | None]) -> np.ndarray:
    """A number for each text, int64, the same for equal ones, also in other rows, splits and runs.

    Of None it is `NO_TEXT`.
    """
    none = np.int64(NO_TEXT).tobytes()
    digests = (none if text is None else hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.int64)
