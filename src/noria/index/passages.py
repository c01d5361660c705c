"""Documents cut into passages that a model reads whole. Knows no vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEP = 1024  # documents that are Python objects at a time


def passages(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, size: int, overlap: int) -> np.ndarray:
    """The passages of documents, int64 (passages, 3): the document's number, and where the passage begins and ends in
    it, in characters. An empty document is one passage.

    Args:
        size: tokens of a passage at most.
        overlap: tokens that neighbours share, at most half of a passage.
    """
    found: list[tuple[int, int, int]] = []
    shared = min(overlap, size // 2)
    for first in range(0, len(texts), STEP):
        made: Any = tokenizer(
            list(texts[first : first + STEP]), add_special_tokens=False, truncation=True, max_length=size,
            stride=shared, return_overflowing_tokens=True, return_offsets_mapping=True, return_attention_mask=False,
            verbose=False,
        )  # fmt: skip
        for row, offsets in zip(made["overflow_to_sample_mapping"], made["offset_mapping"], strict=True):
            begin, end = (offsets[0][0], offsets[-1][1]) if offsets else (0, len(texts[first + row]))
            found.append((first + row, begin, end))
    return np.array(found, np.int64).reshape(-1, 3)
