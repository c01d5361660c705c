"""Tokens and targets of rows, as a data set that is asked for whole batches and returns them padded.

Knows token ids only: it never tokenises once it is made, and holds no tokenizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from noria.data.batch.columns import Columns
from noria.data.batch.tokens import Tokens, tokenise

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

STEP = 512  # examples that are padded at once, for a fingerprint


class Encoded:
    """Examples ready for a network: each row of the data is one, or several where a row is cut into windows.

    `lengths` (int32) counts each example's tokens and `row` (int64) says which row of the data it comes from.
    `truncated` counts the rows that were cut short, `left_out` the examples that are of no use, by reason.

    `batch` gives the examples with some numbers as arrays: `input_ids`, `attention_mask` and, where the tokenizer makes
    them, `token_type_ids` (int64, examples x longest, padded at the right), `labels` where there are targets, and
    `index` (int64, the numbers themselves; -1 for a filler, which is asked for as -1 - number and counts nowhere).
    Indexing gives the same as tensors, and besides what the `columns` hold of these examples, by name; nothing else
    here needs torch.

    Args:
        labels: one target an example, in the form that the loss takes; None: there are none.
    """

    overlaps = False  # whether examples of one row share tokens, so that only rows are independent of each other

    def __init__(self, tokens: Tokens, labels: np.ndarray | None, pad_id: int, pad_type_id: int = 0) -> None:
        assert labels is None or len(labels) == len(tokens)
        self.tokens = tokens
        self.labels = labels
        self.pad_id = pad_id
        self.pad_type_id = pad_type_id
        self.row = np.arange(len(tokens))
        self.left_out: dict[str, int] = {}
        self.columns: Columns = {}

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, labels: np.ndarray | None) -> Encoded:
        """With the tokenizer's padding."""
        return cls(tokens, labels, padding_id(tokenizer), int(tokenizer.pad_token_type_id))

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    @property
    def truncated(self) -> int:
        return self.tokens.truncated

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        """The examples with these numbers, padded to the longest of them."""
        index = np.asarray(indices, np.int64)
        rows = np.where(index < 0, -1 - index, index)
        lengths = self.lengths[rows]
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (rows, longest)
        batch = {
            "input_ids": padded(there, [self.tokens.ids(row) for row in rows], self.pad_id),
            "attention_mask": there.astype(np.int64),
        }
        if self.tokens.has_types:
            batch["token_type_ids"] = padded(there, [self.tokens.types(row) for row in rows], self.pad_type_id)
        if self.labels is not None:
            batch["labels"] = self.labels[rows]
        batch["index"] = np.maximum(index, -1)
        return batch

    def __getitem__(self, indices: Sequence[int] | np.ndarray) -> dict[str, Tensor]:
        import torch

        index = np.asarray(indices, np.int64)
        more = {name: column.take(index) for name, column in self.columns.items()}
        return {name: torch.from_numpy(values) for name, values in {**self.batch(index), **more}.items()}


def fingerprint(encoded: Encoded) -> str:
    """The sha256 (hex) of all that the batches of these examples hold."""
    found = hashlib.sha256()
    for start in range(0, len(encoded), STEP):
        batch = encoded.batch(np.arange(start, min(start + STEP, len(encoded))))
        for name in sorted(batch):
            found.update(f"{name}{batch[name].dtype.str}{batch[name].shape}".encode())
            found.update(np.ascontiguousarray(batch[name]).tobytes())
    return found.hexdigest()


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """What rows are padded with: masked anyway, so a tokenizer that has no padding gives its end of text."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(pad or 0)


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Encoded:
    """Raw texts, or pairs, without labels, in their order; nothing is kept on disk."""
    return Encoded.of(tokenizer, tokenise(tokenizer, texts, pairs, max_length), None)


def padded(there: np.ndarray, rows: list[np.ndarray], pad: int) -> np.ndarray:
    """Rows side by side, int64, where `there` (bool, rows x longest) holds, and `pad` elsewhere."""
    filled = np.full(there.shape, pad, np.int64)
    if rows:
        filled[there] = np.concatenate(rows)
    return filled
