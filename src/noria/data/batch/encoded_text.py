"""Tokens whose targets are tokens themselves, as a data set that returns padded batches.

Knows token ids only: not whether a target was an answer or plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from noria.data.batch.encoded import Encoded, padded
from noria.data.batch.tokens import Tokens

IGNORED = -100  # the label of a token that is no target; torch's cross entropy skips it


class EncodedText(Encoded):
    """Windows of rows of tokens, ready for a model of the next token.

    Each row of tokens is cut into windows of `length` tokens, or only its first window is kept. A window's targets
    are the row's (all, where the row marks none) without the window's first token, which nothing stands before.
    Windows without any target are left out and counted.

    With a `stride` the windows overlap: the first of a row has `length` tokens, each other one has `stride` new ones,
    which alone are its targets, and before them as many as fit. So all tokens but the very first are targets once,
    each with at least `length - stride` before it, where there are so many.

    `targets` (int64) counts the targets of each window. `bytes` and `words` (int64) count the text that they stand
    for, where the tokens tell; else they are None.

    A batch has `labels` (int64, windows x longest), which are not shifted: at each target its own id, elsewhere -100;
    a filler has no target. Where the tokens tell, it also has `of_text` (bool, windows x longest): which targets are
    text, and not, say, the end of a turn.

    Args:
        length: tokens of a window at most, `lead` included; None: no limit.
        lead: the id of a token that begins every window, such as the start of text.
        first: whether only the first window of each row is kept.
        reason: what a window without any target is counted as.
        stride: new tokens of a window that is not a row's first; None: windows do not overlap.
        follows: which rows go on where the row before them ends (bool, one a row): with a stride, what stands before
            their first tokens is there too.
    """

    def __init__(
        self,
        tokens: Tokens,
        pad_id: int,
        length: int | None,
        lead: int | None = None,
        first: bool = False,
        stride: int | None = None,
        follows: np.ndarray | None = None,
        reason: str = "no_target",
    ) -> None:
        super().__init__(tokens, None, pad_id)
        self.lead = lead
        leading = int(lead is not None)
        whole = tokens.lengths.astype(np.int64)
        size = max(1, length - leading) if length is not None else int(whole.max(initial=1))
        step = size if stride is None else min(stride, size)
        self.overlaps = step < size
        self._follows = np.zeros(len(whole), bool) if stride is None or follows is None else follows
        begin = np.where(self._follows, 0, size - step)  # of a row's first window that much is beyond a step
        count = np.ones_like(whole) if first else np.maximum(1, -(-(whole - begin) // step))
        self.row = np.arange(len(whole)).repeat(count)
        number = np.arange(count.sum()) - (count.cumsum() - count).repeat(count)
        self._stop = np.minimum((number + 1) * step + begin[self.row], whole[self.row])
        self._start = np.where(number == 0, 0, number * step + begin[self.row])
        self._context = np.where((number == 0) & ~self._follows[self.row], 0, size - step)
        self._context = np.minimum(self._context, self._start + self._before(whole)[self.row])
        scored = [self._scored(window) for window in range(len(self.row))]
        self.targets = np.array([wanted.sum() for wanted in scored], np.int64)
        self.bytes: np.ndarray | None = None
        self.words: np.ndarray | None = None
        if tokens.has_sizes:
            self.bytes, self.words = self._sizes(scored)

        empty = self.targets == 0
        self.left_out = {reason: int(empty.sum())} if empty.any() else {}
        for name in ("row", "_start", "_stop", "_context", "targets", "bytes", "words"):
            values = getattr(self, name)
            setattr(self, name, None if values is None else values[~empty])
        self._lengths = (self._stop - self._start + self._context + leading).astype(np.int32)

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths

    @property
    def truncated(self) -> int:
        """How many rows go on after the last of their windows."""
        last = np.append(self.row[1:] != self.row[:-1], True)[: len(self.row)]
        return int((self._stop < self.tokens.lengths[self.row])[last].sum())

    def __len__(self) -> int:
        return len(self.row)

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        index = np.asarray(indices, np.int64)
        windows = np.where(index < 0, -1 - index, index)
        there = self._there(windows)
        ids = [self._ids(window) for window in windows]
        wanted = [
            self._padded(window, self._scored(window) & (n >= 0)) for window, n in zip(windows, index, strict=True)
        ]
        labels = [np.where(mask, own, IGNORED) for mask, own in zip(wanted, ids, strict=True)]
        batch = {
            "input_ids": padded(there, ids, self.pad_id),
            "attention_mask": there.astype(np.int64),
            "labels": padded(there, labels, IGNORED),
            "index": np.maximum(index, -1),
        }
        if self.tokens.has_sizes:
            text = [
                self._padded(window, self._scored(window) & (self._own(self.tokens.bytes, window) >= 0))
                for window in windows
            ]
            batch["of_text"] = padded(there, [row.astype(np.int64) for row in text], 0) > 0
        return batch

    def _there(self, windows: np.ndarray) -> np.ndarray:
        lengths = self.lengths[windows]
        there: np.ndarray = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (windows, longest)
        return there

    def _before(self, whole: np.ndarray) -> np.ndarray:
        """How many tokens stand before each row in the rows that it goes on from."""
        before = np.zeros_like(whole)
        for row in np.flatnonzero(self._follows):
            before[row] = before[row - 1] + whole[row - 1]
        return before

    def _own(self, column: Callable[[int], np.ndarray], window: int) -> np.ndarray:
        """What a column of the tokens says of a window's new tokens."""
        return column(int(self.row[window]))[self._start[window] : self._stop[window]]

    def _ids(self, window: int) -> np.ndarray:
        row, stop, missing = int(self.row[window]), int(self._start[window]), int(self._context[window])
        pieces = [self._own(self.tokens.ids, window)]
        if not missing and self.lead is None:
            return pieces[0]
        while missing:
            piece = self.tokens.ids(row)[max(0, stop - missing) : stop]
            pieces.append(piece)
            missing -= len(piece)
            row, stop = row - 1, int(self.tokens.lengths[row - 1])
        lead = [] if self.lead is None else [np.array([self.lead], np.int32)]
        return np.concatenate([*lead, *pieces[::-1]])

    def _scored(self, window: int) -> np.ndarray:
        """Which of a window's new tokens are targets (bool)."""
        if self.tokens.has_targets:
            wanted = self._own(self.tokens.targets, window) > 0
        else:
            wanted = np.ones(self._stop[window] - self._start[window], bool)
        if self.lead is None and not self._context[window]:
            wanted[:1] = False  # a fresh array in either case
        return wanted

    def _padded(self, window: int, wanted: np.ndarray) -> np.ndarray:
        """The same of all its tokens: what stands before the new ones is no target."""
        before = int(self._context[window]) + int(self.lead is not None)
        return np.concatenate([np.zeros(before, bool), wanted])

    def _sizes(self, scored: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        found = np.zeros((2, len(scored)), np.int64)
        for window, wanted in enumerate(scored):
            found[0, window] = np.maximum(self._own(self.tokens.bytes, window)[wanted], 0).sum()
            found[1, window] = self._own(self.tokens.words, window)[wanted].sum()
        return found[0], found[1]
