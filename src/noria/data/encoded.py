"""Tokens and targets as a torch data set that is asked for whole batches and returns padded tensors.

Knows token ids only: it never tokenises once it is made, and holds no tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from noria.data.tokens import Tokens, tokenise

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Encoded(Dataset[dict[str, torch.Tensor]]):
    """Rows ready for a model.

    `lengths` (int32, one a row) counts each row's tokens. Indexed by a list of row numbers it returns
    `input_ids`, `attention_mask` and, where the tokenizer makes them, `token_type_ids` (int64, rows x longest
    row, padded at the right), `labels` where there are targets (as `labels.encode` makes them), and `index`
    (int64, the row numbers).
    """

    def __init__(self, tokens: Tokens, labels: np.ndarray | None, pad_id: int, pad_type_id: int = 0) -> None:
        assert labels is None or len(labels) == len(tokens)
        self.tokens = tokens
        self.labels = labels
        self.pad_id = pad_id
        self.pad_type_id = pad_type_id

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, labels: np.ndarray | None) -> Encoded:
        """With the tokenizer's padding; masked anyway, so one that has none pads with its end of text."""
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        return cls(tokens, labels, int(pad or 0), int(tokenizer.pad_token_type_id))

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, indices: Sequence[int]) -> dict[str, torch.Tensor]:
        rows = np.asarray(indices, np.int64)
        lengths = self.lengths[rows]
        there = np.arange(lengths.max(initial=0)) < lengths[:, None]  # (rows, longest)
        batch = {
            "input_ids": _padded(there, [self.tokens.ids(row) for row in rows], self.pad_id),
            "attention_mask": torch.from_numpy(there.astype(np.int64)),
        }
        if self.tokens.has_types:
            batch["token_type_ids"] = _padded(there, [self.tokens.types(row) for row in rows], self.pad_type_id)
        if self.labels is not None:
            batch["labels"] = torch.from_numpy(self.labels[rows])
        batch["index"] = torch.from_numpy(rows)
        return batch


def encode_texts(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None, max_length: int
) -> Encoded:
    """Raw texts, or pairs, without labels, in their order; nothing is kept on disk."""
    return Encoded.of(tokenizer, tokenise(tokenizer, texts, pairs, max_length), None)


def _padded(there: np.ndarray, rows: list[np.ndarray], pad: int) -> torch.Tensor:
    padded = np.full(there.shape, pad, np.int64)
    if rows:
        padded[there] = np.concatenate(rows)
    return torch.from_numpy(padded)
