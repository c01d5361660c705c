"""A class of few rows is in train, whatever the hash of its texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from noria.data.rows.rows import Rows, from_table
from noria.data.rows.split import complete, normalise, overlaps
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm

COMMON = [(f"film number {number}", ("good", "bad")[number % 2]) for number in range(200)]
RARE = [(f"a strange case number {number} about thing {7 * number}", f"rare{number}") for number in range(12)]


def rows_of(pairs: list[tuple[str, object]]) -> Rows:
    texts, labels = zip(*pairs, strict=True)
    table = pa.table({"text": list(texts), "label": list(labels)})
    return from_table(table, source="a", where="a.csv", text=["text"], label="label")


def sides(pairs: list[tuple[str, object]]) -> dict[str, set[str]]:
    return {name: set(rows.texts) for name, rows in complete({"train": rows_of(pairs)}, 0.2, 0.2).items()}


def test_a_table_with_classes_of_one_row_can_be_learnt_from(write, caplog):
    path = write("a.csv", ["text,label", *(f"{text},{label}" for text, label in COMMON + RARE)])
    data = TableData(path=path, val_fraction=0.2, test_fraction=0.2).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert set(data.splits["train"].table["label"].to_pylist()) == {"good", "bad", *(label for _, label in RARE)}
    assert "would leave train without the labels" in caplog.text
    assert "they are learnt, never measured" in caplog.text


def test_only_a_text_of_a_lost_class_moves():
    plain, whole = sides(COMMON), sides(COMMON + RARE)
    for name, texts in plain.items():
        assert texts == whole[name] & {text for text, _ in COMMON}
    assert {text for text, _ in RARE} <= whole["train"]
    # where each has a row in train by itself, nothing moves
    several = COMMON + [(f"{text}, copy {copy}", label) for text, label in RARE for copy in range(40)]
    unlabelled = sides([(text, "same") for text, _ in several])
    assert sides(several) == unlabelled


def test_a_rare_class_is_spread_where_it_can_be():
    hidden = [text for text in (f"case {number}" for number in range(200)) if text in lost([(text, "x")])]
    assert len(hidden) > 3
    found = sides(COMMON + [(text, "rare") for text in hidden[:4]])
    assert sum(text in found["train"] for text in hidden[:4]) == 1, "one of four; the others are measured"


def lost(pairs: list[tuple[str, object]]) -> set[str]:
    """The texts that the hash takes out of train."""
    found = sides(COMMON + [(text, "good") for text, _ in pairs])
    return {text for text, _ in pairs} - found["train"]


def test_neither_the_order_nor_doubles_matter():
    pairs = COMMON + RARE + [(text.upper(), label) for text, label in RARE]
    turned = [pairs[place] for place in np.random.default_rng(0).permutation(len(pairs))]
    assert sides(pairs) == sides(turned)
    splits = complete({"train": rows_of(turned)}, 0.2, 0.2)
    assert all(found["count"] == 0 for found in overlaps(splits).values())
    assert {normalise(text) for text, _ in RARE} <= {normalise(text) for text in splits["train"].texts}


def test_labels_of_lists_and_what_is_no_class():
    lists = [(text, [label]) for text, label in COMMON] + [(text, [label, "good"]) for text, label in RARE]
    assert {text for text, _ in RARE} <= sides(lists)["train"]
    numbers = [(text, float(number)) for number, (text, _) in enumerate(COMMON + RARE)]
    assert sides(numbers) == sides([(text, "same") for text, _ in COMMON + RARE])
    empty = [(text, ["good"] if number % 3 else []) for number, (text, _) in enumerate(COMMON)]
    assert sides(empty) == sides(COMMON)


@pytest.mark.parametrize("labels", [[f"id{number}" for number in range(200)]])
def test_a_column_of_ids_is_no_column_of_classes(labels):
    pairs = [(text, label) for (text, _), label in zip(COMMON, labels, strict=True)]
    assert sides(pairs) == sides(COMMON)
