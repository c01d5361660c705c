"""Splits: official ones as they are, missing ones cut from train by a hash of the text.

Knows no seed: a text's side depends on the text alone, or on the name of the group that it belongs to, so duplicates
stay together and new rows move none (but a text of a class that is so rare that train would have none of it).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.rows.mapped import CHUNK, gather, pieces
from noria.data.rows.rare import kept_in_train
from noria.data.rows.rows import Rows

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

KEY = "key"
GROUP = "group"  # a column of names: rows of one group stay on one side of a cut
KEY_BYTES = 16
EXAMPLES = 3


class Overlap(TypedDict):
    """How many different normalised texts two splits share, and some of them."""

    count: int
    examples: list[str]


def normalise(text: str) -> str:
    """The text as duplicates are told: NFKC, case folded, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def keyed(rows: Rows) -> Rows:
    """The rows with a column `key`: a hash (blake2b, 16 bytes) of the normalised text, or of both of a pair."""
    if KEY in rows.table.column_names:
        return rows
    schema = pa.schema([(KEY, pa.binary(KEY_BYTES))])

    def batches() -> Iterator[pa.RecordBatch]:
        names = [name for name in ("text", "text_pair") if name in rows.table.column_names]
        for batch in rows.table.select(names).to_batches(max_chunksize=CHUNK):
            texts = zip(*(map(normalise, column.to_pylist()) for column in batch.columns), strict=True)
            each = (hashlib.blake2b("\x00".join(t).encode(), digest_size=KEY_BYTES).digest() for t in texts)
            joined = pa.py_buffer(b"".join(each))
            keys = pa.FixedSizeBinaryArray.from_buffers(schema.types[0], len(batch), [None, joined])
            yield pa.record_batch([keys], schema=schema)

    return replace(rows, table=rows.table.append_column(KEY, gather(schema, batches())[KEY]))


def keys(rows: Rows) -> Iterator[bytes]:
    """The rows' keys, 16 bytes each, one after the other in pieces of many rows."""
    for piece in pieces(keyed(rows).table[KEY]):
        yield piece.buffers()[1][KEY_BYTES * piece.offset :][: KEY_BYTES * len(piece)].to_pybytes()


def _places(rows: Rows, half: int) -> Iterator[np.ndarray]:
    """One half of each key as a number: the first decides the split, the second who is sampled."""
    return (np.frombuffer(piece, ">u8").reshape(-1, KEY_BYTES // 8)[:, half] for piece in keys(rows))


def _group_places(rows: Rows) -> list[np.ndarray] | None:
    """A number that is the same for all rows of a group; None where there are no groups."""
    if GROUP not in rows.table.column_names:
        return None
    names = rows.table[GROUP].to_pylist()
    numbers = {name: hashlib.blake2b(normalise(name).encode(), digest_size=8).digest() for name in set(names)}
    return [np.frombuffer(b"".join(numbers[name] for name in names), ">u8")]


def complete(given: dict[str, Rows], val_fraction: float, test_fraction: float) -> dict[str, Rows]:
    """The given splits ("train", and maybe "val" and "test"), the missing ones cut from train.

    Test takes the low end of the hash and val the high end, so that a change of one leaves the other alone.
    A fraction of 0 makes no split. A class that train would lose keeps a text there (`rare.py`).

    Raises:
        UserError: a split would be empty.
    """
    test_share = 0.0 if "test" in given else test_fraction
    val_share = 0.0 if "val" in given else val_fraction
    train = given["train"]
    if test_share + val_share >= 1:
        raise UserError("data.val_fraction and data.test_fraction leave nothing for train: lower one of them.")
    given = {name: keyed(rows) for name, rows in given.items()}
    if not test_share + val_share:
        return given
    train = given["train"]
    shares = (place / 2.0**64 for place in (_group_places(train) or _places(train, 0)))
    sides = [(share < test_share, share >= 1 - val_share) for share in shares]
    for_test, for_val = (np.concatenate(side) for side in zip(*sides, strict=True))
    stays = kept_in_train(train, for_test | for_val, KEY)
    for_test, for_val = for_test & ~stays, for_val & ~stays
    splits = {**given, "train": train.select(~(for_test | for_val))}
    if test_share:
        splits["test"] = train.select(for_test)
    if val_share:
        splits["val"] = train.select(for_val)
    for name, rows in splits.items():
        if not len(rows):
            raise UserError(
                f"{train.where}: its {len(train)} rows are too few: the split '{name}' would be empty. "
                "Give more rows or a file for each split; data.val_fraction=0 and data.test_fraction=0 do "
                "without one."
            )
    return {name: splits[name] for name in ("train", "val", "test") if name in splits}


def sample(rows: Rows, count: int) -> Rows:
    """At most `count` rows, in their order: the same ones every time, whatever the order of the file.

    They are those with the lowest second half of the hash; the first half has decided the split.
    """
    if len(rows) <= count:
        return rows
    rows = keyed(rows)
    place = np.concatenate(list(_places(rows, 1)))
    chosen = np.zeros(len(rows), bool)
    chosen[np.argsort(place, kind="stable")[:count]] = True
    return rows.select(chosen)


def overlap(first: Rows, second: Rows) -> Overlap:
    """The normalised texts that stand in both splits; they are counted, not taken out."""
    first, second = keyed(first), keyed(second)
    is_shared = pc.is_in(first.table[KEY], value_set=second.table[KEY].combine_chunks())
    ours = first.table[KEY].filter(is_shared)
    different = pc.unique(ours)
    rows = np.flatnonzero(is_shared)
    texts = [first.table["text"][int(rows[pc.index(ours, key).as_py()])].as_py() for key in different[:EXAMPLES]]
    return {"count": len(different), "examples": [text[:200] for text in texts]}


def overlaps(splits: dict[str, Rows]) -> dict[str, Overlap]:
    """The overlap of every two splits, by "train/val" and so on."""
    names = list(splits)
    return {
        f"{first}/{second}": overlap(splits[first], splits[second])
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    }
