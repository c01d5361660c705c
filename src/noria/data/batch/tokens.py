"""Texts to token ids, kept on disk by what they were made of and read back through a memory map.

Knows nothing of labels, splits or batches, nor why some tokens are targets. Rows are never padded here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError
from noria.common.paths import cache_dir
from noria.data.batch.ends import Ends
from noria.data.batch.sizes import sizes
from noria.data.rows.mapped import CHUNK
from noria.data.rows.rows import digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

FORMAT = 2
STEP = 1024  # rows that are Python objects at a time: enough for all cores
SANE_LENGTH = 1_000_000  # tokenizers without a limit say 1e30

Texts: TypeAlias = "Sequence[str] | pa.ChunkedArray"
Spans = Sequence[Sequence[tuple[int, int]]]  # for each text where its targets stand: rising [start, end) of characters


class Tokens:
    """The token ids of rows, in memory or in a mapped file.

    `lengths` (int32, one a row) counts tokens, special ones included; `cut` (bool) says which rows were cut short and
    `truncated` how many; `plain` counts those in which the names of padding or of the end of a row
    stood and were read as text.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._ids = [_flat(batch.column("input_ids")) for batch in batches]
        self.has_types = bool(batches) and "token_type_ids" in batches[0].schema.names
        self._types = [_flat(batch.column("token_type_ids")) for batch in batches] if self.has_types else []
        self.has_targets = bool(batches) and "targets" in batches[0].schema.names
        self._targets = [_flat(batch.column("targets")) for batch in batches] if self.has_targets else []
        self.has_sizes = bool(batches) and "bytes" in batches[0].schema.names
        self._bytes = [_flat(batch.column("bytes")) for batch in batches] if self.has_sizes else []
        self._words = [_flat(batch.column("words")) for batch in batches] if self.has_sizes else []
        self.cut = np.concatenate(
            [np.empty(0, bool), *(np.asarray(batch.column("truncated"), bool) for batch in batches)]
        )
        lengths = [np.diff(offsets) for _, offsets in self._ids]
        self.lengths = np.concatenate([np.empty(0, np.int32), *lengths]).astype(np.int32)
        self.truncated = int(self.cut.sum())
        self.plain = sum(batch.column("plain").true_count for batch in batches if "plain" in batch.schema.names)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def highest(self) -> int:
        """The highest id of all rows; -1 where there is none."""
        return max((int(values.max()) for values, _ in self._ids if len(values)), default=-1)

    def ids(self, row: int) -> np.ndarray:
        """A row's token ids, int32 (length,), a view."""
        return _row(self._ids, row)

    def types(self, row: int) -> np.ndarray:
        """A row's token type ids, int8 (length,), a view; only where the tokenizer makes them."""
        return _row(self._types, row)

    def targets(self, row: int) -> np.ndarray:
        """Which tokens of a row lie inside its spans, int8 (length,), 1 or 0, a view; only where spans were given."""
        return _row(self._targets, row)

    def bytes(self, row: int) -> np.ndarray:
        """The bytes of text that each token of a row adds, int32 (length,), a view; -1 for one that is no text."""
        return _row(self._bytes, row)

    def words(self, row: int) -> np.ndarray:
        """How many words begin in each token of a row, int32 (length,), a view."""
        return _row(self._words, row)


def tokenise(tokenizer: PreTrainedTokenizerBase, texts: Texts, pairs: Texts | None, max_length: int) -> Tokens:
    """Tokens of texts or pairs, made anew and kept in memory. No text holds padding or the end of a row.

    Raises:
        UserError: the tokenizer is not a fast one.
    """
    return Tokens(list(_batches(tokenizer, texts, pairs, max_length)))


def cached_tokens(
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    pairs: Texts | None,
    max_length: int | None,
    spans: Spans | None = None,
    special: bool = True,
    sized: bool = False,
) -> Tokens:
    """Tokens of texts or pairs from the cache folder, made and put there first, chunk by chunk, where they are missing.

    Safe where several processes do it at once. Where the folder cannot be written, or has no room left, the tokens
    are made (again) in memory.

    Args:
        max_length: rows are cut off there, and at the tokenizer's own limit; None: nowhere.
        spans: makes `targets`.
        special: the tokenizer adds the special tokens, and none of those by which a model finds the end of a row is
            read out of a text; False: only those that stand in the texts.
        sized: makes `bytes` and `words`.

    Raises:
        UserError: the tokenizer is not a fast one.
    """
    given = (tokenizer, texts, pairs, max_length, spans, special, sized)
    path = cache_dir() / "tokens" / f"{cache_key(*given)}.arrow"
    if (found := read(path, len(texts))) is not None:
        return found
    try:
        write(path, _batches(*given))
    except OSError as error:
        log.warning("Tokens are kept in memory, %s cannot be written: %s", path.parent, error)
    return read(path, len(texts)) or Tokens(list(_batches(*given)))


def cache_key(
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    pairs: Texts | None,
    max_length: int | None,
    spans: Spans | None = None,
    special: bool = True,
    sized: bool = False,
) -> str:
    """The sha256 (hex) of all that decides the tokens."""
    parts: dict[str, Any] = {
        "format": FORMAT,
        **_manners(tokenizer),
        "max_length": length_limit(tokenizer, max_length),
        "texts": digest([texts] if pairs is None else [texts, pairs]),
    }
    if spans is not None:
        parts["spans"] = digest([[json.dumps(each) for each in spans]])
    if not special:
        parts["added"] = False
    if sized:
        parts["sized"] = True
    written = {name: json.dumps(part, sort_keys=True) for name, part in parts.items()}
    written["state"] = _state(_backend(tokenizer).to_str())
    whole = ", ".join(f'"{name}": {written[name]}' for name in sorted(written))
    return hashlib.sha256(f"{{{whole}}}".encode()).hexdigest()


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 (hex) of all of a tokenizer that decides its tokens; its chat template is not part of it.

    Raises:
        UserError: the tokenizer is not a fast one.
    """
    written = json.dumps({**_manners(tokenizer), "limit": tokenizer.model_max_length}, sort_keys=True)
    return hashlib.sha256(f"{written}{_state(_backend(tokenizer).to_str())}".encode()).hexdigest()


def _manners(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What decides its tokens besides its backend's state."""
    return {
        "class": type(tokenizer).__name__,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "inputs": list(tokenizer.model_input_names),
        "sides": tokenizer.truncation_side,
    }


@lru_cache(maxsize=1)
def _state(tokenizer: str) -> str:
    """What a tokenizer is, out of its JSON: sorted, and without what the last call asked of it."""
    state = json.loads(tokenizer)
    state.pop("truncation", None)
    state.pop("padding", None)
    return json.dumps(state, sort_keys=True)


def length_limit(tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> int | None:
    """`max_length`, or the tokenizer's own limit where that is lower; None stays None."""
    own = tokenizer.model_max_length
    return min(max_length, own) if max_length and own and own < SANE_LENGTH else max_length


def _backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(
            f"The tokenizer {type(tokenizer).__name__} is not a fast one (it has no tokenizer.json). "
            "Choose a model whose folder holds a tokenizer.json."
        )
    return backend


def _batches(
    tokenizer: PreTrainedTokenizerBase,
    texts: Texts,
    pairs: Texts | None,
    max_length: int | None,
    spans: Spans | None = None,
    special: bool = True,
    sized: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Batches of 8192 rows, the last one shorter."""
    _backend(tokenizer)
    no_text = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    assert spans is None or (pairs is None and len(spans) == len(texts))
    limit = length_limit(tokenizer, max_length)
    given = {
        "add_special_tokens": special, "truncation": limit is not None, "max_length": limit, "padding": False,
        "return_attention_mask": False, "verbose": False,
    }  # fmt: skip
    ends = Ends(tokenizer, pairs is not None) if special else None

    def step(start: int, stop: int) -> pa.RecordBatch:
        firsts = _strings(texts[start:stop])
        seconds = None if pairs is None else _strings(pairs[start:stop])
        made = tokenizer(firsts, seconds, **given)
        plain = ends.read_as_text(made, firsts, seconds, given) if ends else []
        columns = {"input_ids": pa.array(made["input_ids"], pa.list_(pa.int32()))}
        if "token_type_ids" in made:
            columns["token_type_ids"] = pa.array(made["token_type_ids"], pa.list_(pa.int8()))
        if spans is not None:
            inside = [_inside(e.offsets, each) for e, each in zip(made.encodings, spans[start:stop], strict=True)]
            columns["targets"] = pa.array(inside, pa.list_(pa.int8()))
        if sized:
            each = zip(firsts, made.encodings, spans[start:stop] if spans else [None] * len(firsts), strict=True)
            found = [sizes(text, e.ids, e.offsets, no_text, inside) for text, e, inside in each]
            columns["bytes"] = pa.array([row for row, _ in found], pa.list_(pa.int32()))
            columns["words"] = pa.array([row for _, row in found], pa.list_(pa.int32()))
        columns["truncated"] = pa.array([bool(encoding.overflowing) for encoding in made.encodings])
        columns["plain"] = pa.array(np.isin(np.arange(stop - start), plain))
        return pa.RecordBatch.from_pydict(columns)

    for first in range(0, len(texts), CHUNK):
        end = min(first + CHUNK, len(texts))
        yield pa.concat_batches([step(start, min(start + STEP, end)) for start in range(first, end, STEP)])


def _strings(texts: Texts) -> list[str]:
    return texts.to_pylist() if isinstance(texts, pa.ChunkedArray) else list(texts)


def _inside(offsets: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int]]) -> np.ndarray:
    """Which tokens, each given by its first and last character, lie wholly inside one of the spans: int8, 1 or 0."""
    if not offsets or not spans:
        return np.zeros(len(offsets), np.int8)
    first, last = np.array(offsets).T
    start, end = np.array(spans).T
    place = np.searchsorted(start, first, side="right") - 1
    return ((place >= 0) & (last <= end[place])).astype(np.int8)


def write(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Writes beside the goal and then renames, so that a reader sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", suffix=".tmp", dir=path.parent)
    os.close(handle)
    coming = iter(batches)
    try:
        if (first := next(coming, None)) is None:
            return
        with pa.OSFile(temporary, "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
            for batch in chain([first], coming):
                writer.write_batch(batch)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def read(path: Path, rows: int) -> Tokens | None:
    if not path.is_file():
        return None
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        batches = [reader.get_batch(place) for place in range(reader.num_record_batches)]
        for batch in batches:
            batch.validate()
        tokens = Tokens(batches)
        if len(tokens) != rows:
            raise pa.ArrowInvalid(f"{len(tokens)} rows instead of {rows}")
        return tokens
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        log.warning("The cached tokens %s are unreadable and are made again: %s", path, error)
        return None


def _flat(column: pa.ListArray) -> tuple[np.ndarray, np.ndarray]:
    return column.values.to_numpy(zero_copy_only=True), column.offsets.to_numpy(zero_copy_only=True)


def _row(chunks: list[tuple[np.ndarray, np.ndarray]], row: int) -> np.ndarray:
    chunk, place = divmod(row, CHUNK)
    values, offsets = chunks[chunk]
    return values[offsets[place] : offsets[place + 1]]
