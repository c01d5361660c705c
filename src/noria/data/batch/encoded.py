"""Tokens and targets as a torch data set that is asked for whole batches and returns padded tensors.

Knows token ids only: it never tokenises once it is made, and holds no tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from noria.data.batch.tokens import Tokens, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Encoded(Dataset[dict[str, torch.Tensor]]):
    """Rows ready for a model.

    `lengths` (int32, one a row) counts each row's tokens. Indexed by a list of row numbers it returns
    `input_ids`, `attention_mask` and, where the tokenizer makes them, `token_type_ids` (int64, rows x longest
    row, padded at the right), `labels` where there are targets (as `labels.encode` makes them), and `index`
    (int64, the row numbers; -1 for a filler, which is asked for as -1 - row and counts nowhere).
    """

    def __init__(self, tokens: Tokens, labels: np.ndarray | None, pad_id: int, pad_type_id: int = 0) -> None:
        assert labels is None or len(labels) == len(tokens)
        self.tokens = tokens
        self.labels = labels
        self.pad_id = pad_id
        self.pad_type_id = pad_type_id

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, labels: np.ndarray | None) -> Encoded:
        """With the tokenizer's padding."""
        return cls(tokens, labels, padding_id(tokenizer), int(tokenizer.pad_token_type_id))

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        index = np.asarray(indices, np.int64)
        rows = np.where(index < 0, -1 - index, index)
        lengths = self.lengths[rows]
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (rows, longest)
        batch = {
            "input_ids": padded(there, [self.tokens.ids(row) for row in rows], self.pad_id),
            "attention_mask": torch.from_numpy(there.astype(np.int64)),
        }
        if self.tokens.has_types:
            batch["token_type_ids"] = padded(there, [self.tokens.types(row) for row in rows], self.pad_type_id)
        if self.labels is not None:
            batch["labels"] = torch.from_numpy(self.labels[rows])
        batch["index"] = torch.from_numpy(np.maximum(index, -1))
        return batch


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """What rows are padded with: masked anyway, so a tokenizer that has no padding gives its end of text."""
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return int(pad or 0)


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Encoded:
    """Raw texts, or pairs, without labels, in their order; nothing is kept on disk."""
    return Encoded.of(tokenizer, tokenise(tokenizer, texts, pairs, max_length), None)


def padded(there: np.ndarray, rows: list[np.ndarray], pad: int) -> torch.Tensor:
    """Rows side by side, int64, where `there` (bool, rows x longest) holds, and `pad` elsewhere."""
    filled = np.full(there.shape, pad, np.int64)
    if rows:
        filled[there] = np.concatenate(rows)
    return torch.from_numpy(filled)
