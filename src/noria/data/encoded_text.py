"""Tokens whose targets are tokens themselves, as a torch data set that returns padded batches.

Knows token ids only: not whether a target was an answer or plain text.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from noria.data.encoded import Encoded, padded
from noria.data.tokens import Tokens

IGNORED = -100  # the label of a token that is no target; torch's cross entropy skips it


class EncodedText(Encoded):
    """Windows of rows of tokens, ready for a model of the next token.

    Each row of tokens is cut into windows of `length` tokens, or only its first window is kept. A window's targets
    are the row's (all, where the row marks none) without the window's first token, which nothing stands before.
    Windows without any target are left out and counted in `left_out`.

    `lengths` (int32) counts each window's tokens, `targets` (int64) those of them that are targets, and `row`
    (int64) is the row of tokens each window comes from. Indexed by a list of window numbers it returns
    `input_ids`, `attention_mask` and `labels` (int64, windows x longest, padded at the right), and `index` as
    `Encoded` does. `labels` are not shifted: at each target its own id, elsewhere -100; a filler has no target.

    Args:
        length: tokens of a window at most, `lead` included; None: no limit.
        lead: the id of a token that begins every window, such as the start of text.
        first: whether only the first window of each row is kept.
    """

    def __init__(
        self, tokens: Tokens, pad_id: int, length: int | None, lead: int | None = None, first: bool = False
    ) -> None:
        super().__init__(tokens, None, pad_id)
        self.lead = lead
        leading = int(lead is not None)
        whole = tokens.lengths.astype(np.int64)
        size = max(1, length - leading) if length is not None else int(whole.max(initial=1))
        count = np.ones_like(whole) if first else np.maximum(1, -(-whole // size))
        self.row = np.arange(len(whole)).repeat(count)
        self._start = (np.arange(count.sum()) - (count.cumsum() - count).repeat(count)) * size
        self._stop = np.minimum(self._start + size, whole[self.row])
        self.targets = np.array([self._wanted(window).sum() for window in range(len(self.row))], np.int64)

        empty = self.targets == 0
        self.left_out = int(empty.sum())
        self.row, self._start, self._stop = self.row[~empty], self._start[~empty], self._stop[~empty]
        self.targets = self.targets[~empty]
        self._lengths = (self._stop - self._start + leading).astype(np.int32)

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

    def __getitem__(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        index = np.asarray(indices, np.int64)
        windows = np.where(index < 0, -1 - index, index)
        lengths = self.lengths[windows]
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (windows, longest)
        ids = [self._ids(window) for window in windows]
        wanted = [self._wanted(window) & (place >= 0) for window, place in zip(windows, index, strict=True)]
        labels = [np.where(mask, own, IGNORED) for mask, own in zip(wanted, ids, strict=True)]
        return {
            "input_ids": padded(there, ids, self.pad_id),
            "attention_mask": torch.from_numpy(there.astype(np.int64)),
            "labels": padded(there, labels, IGNORED),
            "index": torch.from_numpy(np.maximum(index, -1)),
        }

    def _ids(self, window: int) -> np.ndarray:
        ids = self.tokens.ids(self.row[window])[self._start[window] : self._stop[window]]
        return ids if self.lead is None else np.append(np.int32(self.lead), ids)

    def _wanted(self, window: int) -> np.ndarray:
        """Which tokens of a window are targets (bool)."""
        start, stop = self._start[window], self._stop[window]
        if self.tokens.has_targets:
            wanted = self.tokens.targets(self.row[window])[start:stop] > 0
        else:
            wanted = np.ones(stop - start, bool)
        if self.lead is not None:
            return np.append(False, wanted)
        wanted[:1] = False  # a fresh array in either case
        return wanted
