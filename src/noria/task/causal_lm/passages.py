"""Passages of plain text as windows of tokens. Knows no conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.data.batch.encoded import padding_id
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens, length_limit
from noria.data.rows.mapped import gather
from noria.data.rows.rows import Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

HELD = 1024  # passages that are Python objects at a time
NO_TARGET = "window_of_one_token"


def encode_passages(
    rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, stride: int | None
) -> EncodedText:
    """The windows of passages, each token learnt from those before it in its window.

    A passage is tokenised whole and cut into windows of `max_length` tokens, without overlap. A document's last
    passage ends with the tokenizer's end of text. Where the tokenizer begins texts with a token of its own, so does
    every window; else the first token of each window is not a target.

    With a `stride`, rows to be measured are read by windows that overlap, as transformers' guide to perplexity does:
    each token is measured once, with at least `max_length - stride` tokens before it, those of the document's passage
    before it among them where that is in the same split.
    """
    texts = _ended(rows, tokenizer.eos_token or "")
    tokens = cached_tokens(tokenizer, texts, None, None, special=False, sized=measured)
    begun = tokenizer("a")["input_ids"][0]
    lead = begun if begun == tokenizer.bos_token_id else None
    limit = length_limit(tokenizer, max_length)
    stride = stride if measured else None
    follows = _follows(rows) if stride is not None else None
    pad = padding_id(tokenizer)
    return EncodedText(tokens, pad, limit, lead, stride=stride, follows=follows, reason=NO_TARGET)


def _ended(rows: Rows, end: str) -> pa.ChunkedArray:
    """The passages, with `end` after those that end a document."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.table.to_batches(max_chunksize=HELD):
            closed = pc.binary_join_element_wise(batch["text"], end, "")
            yield pa.record_batch([pc.if_else(batch["last"], closed, batch["text"])], names=["text"])

    return gather(pa.schema([("text", pa.string())]), batches())["text"]


def _follows(rows: Rows) -> np.ndarray:
    """Which passages go on where the row before them ends (bool, one a row)."""
    numbered = [(name, int(number)) for name, _, number in (id.rpartition(":") for id in rows.ids)]
    before = [(name, number + 1) for name, number in numbered]
    return np.array([False, *(one == other for one, other in zip(numbered[1:], before[:-1], strict=True))])
