"""Questions and their passages as windows of tokens that overlap: no passage is cut. Knows no scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from noria.data.batch.encoded import Encoded, padding_id
from noria.data.batch.tokens import Tokens, length_limit
from noria.data.rows.mapped import CHUNK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEP = 1024  # questions that are Python objects at a time
QUESTION_SHARE = 0.5  # of a window that a question may take: of a longer one the end is cut off
NOWHERE = -1

Span = tuple[int, int]
"""Where an answer begins and ends in its passage, in characters."""


class Cut(NamedTuple):
    """A window.

    Args:
        row: of the data.
        ids, types: its tokens, and their types where the tokenizer makes them.
        offsets: (tokens, 2), where each begins and ends in the passage; -1 for those that are none of it.
        cut: whether its question was cut.
    """

    row: int
    ids: np.ndarray
    types: np.ndarray | None
    offsets: np.ndarray
    cut: bool


class EncodedQuestions(Encoded):
    """Windows of passages, each behind its question.

    A batch has besides: `passage` (bool, windows x longest), the tokens that an answer may begin or end with;
    `nothing` (int64, windows), the token that stands for there being none: the one that the tokenizer puts there for
    a whole text, or else the first; and with answers `start` and `end` (int64, windows), the tokens with which it
    begins and ends, both `nothing` where no answer stands in the window as a whole.

    Args:
        windows: of all rows, one after the other.
        passages: of each row.
        spans: of each row the answer to learn, None where there is none; None: answers are not known.
        references: of each row all right answers, as texts.
    """

    overlaps = True

    def __init__(
        self,
        windows: Sequence[Cut],
        passages: Sequence[str],
        spans: Sequence[Span | None] | None,
        references: Sequence[Sequence[str]] | None,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        super().__init__(Tokens(_batches(windows)), None, padding_id(tokenizer), int(tokenizer.pad_token_type_id))
        self.passages, self.references = passages, references
        self.row = np.array([window.row for window in windows], np.int64)
        self.offsets = [window.offsets for window in windows]
        self.nothing = np.array([_nothing(window.ids, tokenizer.cls_token_id) for window in windows], np.int64)
        self.targets = None
        if spans is not None:
            each = zip(windows, self.nothing.tolist(), strict=True)
            found = [_tokens_of(spans[window.row], window.offsets) or (none, none) for window, none in each]
            self.targets = np.array(found, np.int64).reshape(-1, 2)

    def places(self, window: int) -> np.ndarray:
        """Where the passage's tokens of a window begin and end, (tokens, 2)."""
        offsets = self.offsets[window]
        return offsets[offsets[:, 0] > NOWHERE]

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        batch = super().batch(indices)
        index = np.asarray(indices, np.int64)
        rows = np.where(index < 0, -1 - index, index)
        passage = np.zeros(batch["input_ids"].shape, bool)
        for place, window in enumerate(rows):
            offsets = self.offsets[window]
            passage[place, : len(offsets)] = offsets[:, 0] > NOWHERE
        batch |= {"passage": passage, "nothing": self.nothing[rows]}
        if self.targets is not None:
            batch["start"], batch["end"] = self.targets[rows].T.copy()
        return batch


def encode_questions(
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[str],
    passages: Sequence[str],
    spans: Sequence[Span | None] | None,
    references: Sequence[Sequence[str]] | None,
    max_length: int,
    stride: int,
) -> EncodedQuestions:
    """The windows of passages behind their questions; a question that takes more than half of a window is cut.

    Args:
        max_length: tokens of a window at most, question and special ones included.
        stride: tokens that neighbouring windows of a passage share, at most half of those that a long question leaves.
    """
    limit = length_limit(tokenizer, max_length) or max_length
    room = max(2, limit - tokenizer.num_special_tokens_to_add(pair=True))
    most = max(1, int(room * QUESTION_SHARE))
    shared = min(stride, (room - most) // 2)
    windows: list[Cut] = []
    for first in range(0, len(questions), STEP):
        asked, cut = _shortened(tokenizer, questions[first : first + STEP], most)
        made: Any = tokenizer(
            asked, list(passages[first : first + STEP]), truncation="only_second", max_length=limit, stride=shared,
            return_overflowing_tokens=True, return_offsets_mapping=True, return_attention_mask=False, verbose=False,
        )  # fmt: skip
        windows += _windows(made, first, cut)
    return EncodedQuestions(windows, passages, spans, references, tokenizer)


def _shortened(tokenizer: PreTrainedTokenizerBase, questions: Sequence[str], most: int) -> tuple[list[str], list[bool]]:
    """The questions up to so many tokens, and which of them were cut."""
    made: Any = tokenizer(
        list(questions), add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False,
        truncation=False, verbose=False,
    )  # fmt: skip
    kept, cut = [], []
    for question, offsets in zip(questions, made["offset_mapping"], strict=True):
        cut.append(len(offsets) > most)
        kept.append(question[: offsets[most - 1][1]] if cut[-1] else question)
    return kept, cut


def _windows(made: Any, first: int, cut: Sequence[bool]) -> Iterator[Cut]:
    for window, ids in enumerate(made["input_ids"]):
        row = made["overflow_to_sample_mapping"][window]
        offsets = np.array(made["offset_mapping"][window], np.int32).reshape(-1, 2)
        offsets[[part != 1 for part in made.sequence_ids(window)]] = NOWHERE
        types = np.array(made["token_type_ids"][window], np.int8) if "token_type_ids" in made else None
        yield Cut(first + row, np.array(ids, np.int32), types, offsets, cut[row])


def _nothing(ids: np.ndarray, token: int | None) -> int:
    """The place of the token that stands for the whole text; the first where there is none."""
    return int((ids == token).argmax()) if token is not None else 0


def _tokens_of(span: Span | None, offsets: np.ndarray) -> tuple[int, int] | None:
    """The first and the last token of an answer; None where there is none, or it reaches out of the window."""
    if span is None:
        return None
    begin, end = span
    own = np.flatnonzero(offsets[:, 0] > NOWHERE)
    if not len(own) or offsets[own[0], 0] > begin or offsets[own[-1], 1] < end:
        return None
    inside = own[(offsets[own, 1] > begin) & (offsets[own, 0] < end)]
    return (int(inside[0]), int(inside[-1])) if len(inside) else None


def _batches(windows: Sequence[Cut]) -> list[pa.RecordBatch]:
    batches = []
    for start in range(0, len(windows), CHUNK):
        part = windows[start : start + CHUNK]
        columns = {"input_ids": pa.array([window.ids for window in part], pa.list_(pa.int32()))}
        if part[0].types is not None:
            columns["token_type_ids"] = pa.array([window.types for window in part], pa.list_(pa.int8()))
        columns["truncated"] = pa.array([window.cut for window in part])
        batches.append(pa.record_batch(columns))
    return batches
