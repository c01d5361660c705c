"""Splits: official ones as they are, missing ones cut from train by a hash of the text.

Knows no seed: a text's side depends on the text alone, so duplicates stay together and new rows move none.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TypedDict

import numpy as np

from noria.common.errors import UserError
from noria.data.rows import Rows

KEY_BYTES = 16
EXAMPLES = 3


class Overlap(TypedDict):
    """How many different normalised texts two splits share, and some of them."""

    count: int
    examples: list[str]


def normalise(text: str) -> str:
    """The text as duplicates are told: NFKC, case folded, every run of white space one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def keys(rows: Rows) -> list[bytes]:
    """A hash (blake2b, 16 bytes) of each row's normalised text, or of both texts of its pair."""
    texts = [normalise(text) for text in rows.texts]
    if rows.pairs is not None:
        texts = [f"{text}\x00{normalise(pair)}" for text, pair in zip(texts, rows.pairs, strict=True)]
    return [hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).digest() for text in texts]


def complete(given: dict[str, Rows], val_fraction: float, test_fraction: float) -> dict[str, Rows]:
    """The given splits ("train", and maybe "val" and "test"), the missing ones cut from train.

    Test takes the low end of the hash and val the high end, so that a change of one leaves the other alone.
    A fraction of 0 makes no split.

    Raises:
        UserError: a split would be empty.
    """
    test_share = 0.0 if "test" in given else test_fraction
    val_share = 0.0 if "val" in given else val_fraction
    train = given["train"]
    if test_share + val_share >= 1:
        raise UserError("data.val_fraction and data.test_fraction leave nothing for train: lower one of them.")
    if not test_share + val_share:
        return dict(given)
    place = np.frombuffer(b"".join(keys(train)), ">u8").reshape(len(train), -1)[:, 0] / 2.0**64
    for_test, for_val = place < test_share, place >= 1 - val_share
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
    place = np.frombuffer(b"".join(keys(rows)), ">u8").reshape(len(rows), -1)[:, 1]
    chosen = np.zeros(len(rows), bool)
    chosen[np.argsort(place, kind="stable")[:count]] = True
    return rows.select(chosen)


def overlap(first: Rows, second: Rows) -> Overlap:
    """The normalised texts that stand in both splits; they are counted, not taken out."""
    theirs = set(keys(second))
    shared: dict[bytes, str] = {}
    for key, text in zip(keys(first), first.texts, strict=True):
        if key in theirs:
            shared.setdefault(key, text)
    return {"count": len(shared), "examples": [text[:200] for text in list(shared.values())[:EXAMPLES]]}


def overlaps(splits: dict[str, Rows]) -> dict[str, Overlap]:
    """The overlap of every two splits, by "train/val" and so on."""
    names = list(splits)
    return {
        f"{first}/{second}": overlap(splits[first], splits[second])
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    }
