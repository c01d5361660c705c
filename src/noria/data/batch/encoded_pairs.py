"""Tokens of sources and of the targets that they should become, as a data set that returns padded batches."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from noria.data.batch.encoded import Encoded, padded
from noria.data.batch.encoded_text import IGNORED
from noria.data.batch.tokens import Tokens


class EncodedPairs(Encoded):
    """Sources, each with a target.

    `lengths` is the longer side of each pair: a batch of n rows takes n times the longest of them at most, on either
    side. `targets` (int64) counts the tokens to be predicted.

    A batch has `labels` (int64, rows x longest target): the target's tokens, -100 where there is none. A target that
    was cut short has no end, so what the tokenizer puts there is none of its labels. A filler has none at all.

    Args:
        tokens: of the sources.
        targets: of the targets; None: there are none, the sources are only to be answered.
        pad_id: what sources are padded with.
        ends: tokens that the tokenizer puts at the end of a target.
        references: the texts that are right for each row (lists of string); the target is the first of them.
    """

    def __init__(
        self,
        tokens: Tokens,
        targets: Tokens | None,
        pad_id: int,
        ends: Collection[int] = (),
        references: pa.ChunkedArray | None = None,
    ) -> None:
        super().__init__(tokens, None, pad_id)
        self.references = references
        self._targets = targets
        self._ends = np.array(sorted(ends), np.int64)
        self.targets = np.zeros(len(tokens), np.int64)
        if targets is not None:
            assert len(targets) == len(tokens)
            self.targets = targets.lengths.astype(np.int64)
            for row in np.flatnonzero(targets.cut):
                self.targets[row] = len(self._label(int(row)))

    @property
    def highest(self) -> int:
        """The highest id on either side; -1 where there is none."""
        return max(self.tokens.highest, -1 if self._targets is None else self._targets.highest)

    @property
    def lengths(self) -> np.ndarray:
        if self._targets is None:
            return self.tokens.lengths
        longer: np.ndarray = np.maximum(self.tokens.lengths, self._targets.lengths)
        return longer

    @property
    def truncated(self) -> int:
        """How many rows were cut, on either side."""
        cut = self.tokens.cut if self._targets is None else self.tokens.cut | self._targets.cut
        return int(cut.sum())

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        index = np.asarray(indices, np.int64)
        rows = np.where(index < 0, -1 - index, index)
        lengths = self.tokens.lengths[rows]
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]
        batch = {
            "input_ids": padded(there, [self.tokens.ids(row) for row in rows], self.pad_id),
            "attention_mask": there.astype(np.int64),
            "index": np.maximum(index, -1),
        }
        if self._targets is not None:
            labels = [self._label(row) for row in rows]
            sizes = np.array([len(label) for label in labels], np.int64)
            at = np.arange(max(sizes.max(initial=0), 1)) < sizes[:, None]
            batch["labels"] = padded(at, labels, IGNORED)
            batch["labels"][index < 0] = IGNORED
        return batch

    def _label(self, row: int) -> np.ndarray:
        assert self._targets is not None
        ids = self._targets.ids(row)
        if not self._targets.cut[row]:
            return ids
        text = np.flatnonzero(~np.isin(ids, self._ends))
        return ids[: text[-1] + 1 if len(text) else 0]
