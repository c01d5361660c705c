from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from noria.common.errors import UserError
from noria.data.rows.rows import Rows, from_table
from noria.data.rows.split import complete, keys, normalise, overlap, overlaps, sample


def rows_of(texts: list[str], pairs: list[str] | None = None) -> Rows:
    table = {"text": texts, "label": ["x"] * len(texts)} | ({"pair": pairs} if pairs else {})
    columns = ["text", "pair"] if pairs else ["text"]
    return from_table(pa.table(table), source="a", where="a.csv", text=columns, label="label")


TEXTS = [f"text number {i}" for i in range(1000)]


def test_normalise():
    assert normalise(" \ufb01lm\u00a0 STRASSE\n\tx ") == normalise("film stra\u00dfe x") == "film strasse x"


def test_every_row_is_in_one_split_of_about_its_share():
    splits = complete({"train": rows_of(TEXTS)}, 0.1, 0.2)
    assert list(splits) == ["train", "val", "test"]
    assert sorted(id for rows in splits.values() for id in rows.ids) == sorted(rows_of(TEXTS).ids)
    assert 60 < len(splits["val"]) < 140 and 150 < len(splits["test"]) < 250


def test_new_rows_and_a_new_order_move_none():
    rng = np.random.default_rng(0)
    more = [f"something new {i}" for i in range(500)] + TEXTS
    more = [more[i] for i in rng.permutation(len(more))]
    before = complete({"train": rows_of(TEXTS)}, 0.1, 0.1)
    after = complete({"train": rows_of(more)}, 0.1, 0.1)
    for name in before:
        assert set(before[name].texts) == set(after[name].texts) & set(TEXTS)


def test_one_fraction_leaves_the_other_split_alone():
    small = complete({"train": rows_of(TEXTS)}, 0.1, 0.1)
    large = complete({"train": rows_of(TEXTS)}, 0.3, 0.1)
    assert small["test"].texts == large["test"].texts
    assert set(small["val"].texts) < set(large["val"].texts)


def test_duplicates_stay_on_one_side():
    twins = [f"  TEXT  Number {i} " for i in range(1000)]
    splits = complete({"train": rows_of(TEXTS + twins)}, 0.2, 0.2)
    assert all(found["count"] == 0 for found in overlaps(splits).values())
    for rows in splits.values():
        assert len({normalise(text) for text in rows.texts}) * 2 == len(rows)


def test_pairs_go_by_both_texts():
    splits = complete({"train": rows_of(["same"] * 1000, TEXTS)}, 0.1, 0.1)
    assert 60 < len(splits["val"]) < 140
    assert overlap(rows_of(["a"], ["b"]), rows_of(["a"], ["c"]))["count"] == 0


def test_official_splits_stay():
    given = {"train": rows_of(TEXTS), "test": rows_of(["x", "y"])}
    splits = complete(given, 0.1, 0.5)
    assert splits["test"].texts == ["x", "y"]
    assert len(splits["train"]) + len(splits["val"]) == 1000
    assert complete(given, 0.0, 0.5)["train"].texts == TEXTS
    assert list(complete(given, 0.0, 0.5)) == ["train", "test"]


def test_too_few_rows_and_too_large_fractions():
    with pytest.raises(UserError, match=r"a.csv: its 2 rows are too few: the split '\w+' would be empty"):
        complete({"train": rows_of(["a", "b"])}, 0.1, 0.1)
    with pytest.raises(UserError, match="leave nothing for train"):
        complete({"train": rows_of(TEXTS)}, 0.5, 0.5)


def test_overlap_counts_different_texts_and_shows_three():
    first, second = rows_of([*TEXTS[:10], TEXTS[0]]), rows_of([text.upper() for text in TEXTS[5:20]])
    assert overlap(first, second) == {"count": 5, "examples": TEXTS[5:8]}
    assert overlaps({"train": first, "val": second})["train/val"]["count"] == 5


def test_keys_are_hashes_of_the_normalised_texts():
    def key(text: str) -> bytes:
        return blake2b(text.encode(), digest_size=16).digest()

    assert b"".join(keys(rows_of(["A  b", "c"]))) == key("a b") + key("c")
    assert b"".join(keys(rows_of(["A", "c"], ["B", "d"]).select(np.array([False, True])))) == key("c\0d")


def test_a_sample_goes_by_the_hash_alone():
    whole = set(sample(rows_of(TEXTS), 100).texts)
    assert len(whole) == 100 and whole == set(sample(rows_of(TEXTS[::-1]), 100).texts)
    assert sample(rows_of(TEXTS), 100).texts == [text for text in TEXTS if text in whole]
