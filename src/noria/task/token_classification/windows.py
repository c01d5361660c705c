"""Words of texts as windows of tokens that overlap: no text is cut, however long it is. Knows no label by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from noria.data.batch.encoded import Encoded, padding_id
from noria.data.batch.encoded_text import IGNORED
from noria.data.batch.tokens import Tokens, length_limit
from noria.data.rows.mapped import CHUNK

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STEP = 1024  # texts that are Python objects at a time


class EncodedWords(Encoded):
    """Windows of texts, ready for a network that says something of each token.

    Each word that has a token is spoken for by its first one, in the one window where most stands on both sides of it.

    A batch has besides: `scored` (bool, windows x longest), the tokens that speak for a word here, and with labels
    `labels` (int64, windows x longest): the label at these, -100 elsewhere; a filler has none.

    Args:
        windows: of each window the row, its tokens, the places of the tokens that speak for a word, and these words.
        word_places: of each row where its words begin and end (words, 2), in characters.
        labels: of each row the number of each word's label; None: they are not known.
    """

    def __init__(
        self,
        windows: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]],
        word_places: Sequence[np.ndarray],
        labels: Sequence[np.ndarray] | None,
        pad_id: int,
    ) -> None:
        super().__init__(Tokens(_batches([ids for _, ids, _, _ in windows])), None, pad_id)
        self.row = np.array([row for row, *_ in windows], np.int64)
        self.places = [places for *_, places, _ in windows]
        self.words = [words for *_, words in windows]
        self.word_places, self.all_labels = word_places, labels
        self.word_labels = None
        if labels is not None:
            self.word_labels = [labels[row][words] for row, _, _, words in windows]

    @property
    def scored(self) -> np.ndarray:
        """How many words each window speaks for, int64 (windows,)."""
        return np.array([len(words) for words in self.words], np.int64)

    def batch(self, indices: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
        batch = super().batch(indices)
        index = np.asarray(indices, np.int64)
        scored = np.zeros(batch["input_ids"].shape, bool)
        labels = np.full(batch["input_ids"].shape, IGNORED, np.int64)
        for place, number in enumerate(index):
            window = int(number if number >= 0 else -1 - number)
            scored[place, self.places[window]] = True
            if self.word_labels is not None and number >= 0:
                labels[place, self.places[window]] = self.word_labels[window]
        batch["scored"] = scored
        if self.word_labels is not None:
            batch["labels"] = labels
        return batch


def encode_words(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    places: Sequence[np.ndarray],
    labels: Sequence[np.ndarray] | None,
    max_length: int,
) -> EncodedWords:
    """The windows of texts.

    Args:
        places: of each text where its words begin and end (words, 2), in characters.
        labels: of each text the numbers of its words' labels.
        max_length: tokens of a window at most, special ones included.
    """
    before, behind = _around(tokenizer)
    limit = length_limit(tokenizer, max_length) or max_length
    room, pad = max(1, limit - len(before) - len(behind)), padding_id(tokenizer)
    windows = []
    for start in range(0, len(texts), STEP):
        made: Any = tokenizer(
            list(texts[start : start + STEP]), add_special_tokens=False, truncation=False, padding=False, verbose=False,
            return_offsets_mapping=True, return_attention_mask=False,
        )  # fmt: skip
        for row, (ids, offsets) in enumerate(zip(made["input_ids"], made["offset_mapping"], strict=True), start):
            firsts, words = _first_tokens(np.array(offsets, np.int64).reshape(-1, 2), places[row])
            for begin, end, mine in _cut(len(ids), room, firsts):
                tokens = np.array([*before, *ids[begin:end], *behind] or [pad], np.int32)
                windows.append((row, tokens, firsts[mine] - begin + len(before), words[mine]))
    return EncodedWords(windows, places, labels, pad)


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special tokens before and behind a text."""
    whole: list[int] = list(tokenizer("a", verbose=False)["input_ids"])
    bare: list[int] = list(tokenizer("a", add_special_tokens=False, verbose=False)["input_ids"])
    at = next(place for place in range(len(whole) - len(bare) + 1) if whole[place : place + len(bare)] == bare)
    return whole[:at], whole[at + len(bare) :]


def _first_tokens(offsets: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first token that touches each word (n,), and the numbers of these words (n,): some words have no token.

    A token may begin with the blank before its word. One that reaches over several words speaks for the first.
    """
    if not len(offsets) or not len(places):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    real = np.flatnonzero(offsets[:, 1] > offsets[:, 0])
    first = np.searchsorted(offsets[real, 1], places[:, 0], side="right")  # the first that ends behind the word's begin
    there = first < len(real)
    there[there] &= offsets[real[first[there]], 0] < places[there, 1]
    tokens, words = real[first[there]], np.flatnonzero(there)
    kept = np.concatenate([[True], np.diff(tokens) > 0]) if len(tokens) else np.empty(0, bool)
    return tokens[kept], words[kept]


def _cut(length: int, room: int, firsts: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Windows of at most `room` tokens, each with which of the tokens `firsts` it speaks for (their numbers).

    Neighbours share half of their tokens; a token is spoken for where the fewer of those before and behind it are most.
    """
    if length <= room:
        yield 0, length, np.arange(len(firsts))
        return
    step = max(1, room // 2)
    begins = np.append(np.arange(0, length - room, step), length - room)
    depth = np.minimum(firsts[None] - begins[:, None], begins[:, None] + room - 1 - firsts[None])  # (windows, words)
    # at the ends of the text nothing more could stand there
    depth = np.where((begins == 0)[:, None] & (depth >= 0), begins[:, None] + room - 1 - firsts[None], depth)
    depth = np.where((begins == length - room)[:, None] & (depth >= 0), firsts[None] - begins[:, None], depth)
    chosen = depth.argmax(axis=0)
    for number, begin in enumerate(begins):
        mine = np.flatnonzero(chosen == number)
        if len(mine) or (number == 0 and not len(firsts)):  # what speaks for no word is not read
            yield int(begin), int(begin) + room, mine


def _batches(rows: Sequence[np.ndarray]) -> list[pa.RecordBatch]:
    batches = []
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        ids = pa.array([row.tolist() for row in part], pa.list_(pa.int32()))
        batches.append(pa.record_batch({"input_ids": ids, "truncated": pa.array([False] * len(part))}))
    return batches
