"""Several labels a row as zeros and ones, from every kind of source."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.common.errors import UserError
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm

NAMES = ["toxic", "threat", "insult", "obscene"]
HOT = [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 1]] * 30
TEXTS = [f"text number {number}" for number in range(len(HOT))]


def data_of(path: str, **given: Any) -> TableData:
    data = TableData(path=path, **{"val_fraction": 0, "test_fraction": 0, **given}).bind(
        TextClassificationForm("multi_label"), None, 1
    )
    data.setup()
    return data


def lines(labels: list[Any]) -> list[str]:
    return [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, labels, strict=False)]


def cells(labels: list[str]) -> list[str]:
    rows = (f'{text},"{label}"' for text, label in zip(TEXTS, labels, strict=False))
    return ["text,label", *rows]


SOURCES = {
    "ints": HOT,
    "booleans": [[value == 1 for value in row] for row in HOT],
    "floats": [[float(value) for value in row] for row in HOT],
    "words": [[str(value) for value in row] for row in HOT],
}


@pytest.mark.parametrize("given", [None, NAMES])
@pytest.mark.parametrize("source", SOURCES)
def test_lists_of_zeros_and_ones_are_read_by_place(source, given, write):
    data = data_of(write("a.jsonl", lines(SOURCES[source])), label_names=given)
    assert data.labels == (given or ["0", "1", "2", "3"])
    assert (
        data.form.targets(data.splits["train"]).dtype == np.float32
        and data.form.targets(data.splits["train"]).tolist() == HOT
    )


@pytest.mark.parametrize("kind", [pa.list_(pa.int8()), pa.list_(pa.bool_(), 4), pa.list_(pa.float32(), 4),
                                  pa.large_list(pa.uint8()), pa.list_(pa.int64(), 4)])  # fmt: skip
def test_parquet_lists_of_every_type(kind, tmp_path):
    labels = pa.array(HOT, pa.list_(pa.int8())).cast(pa.list_(kind.value_type)).cast(kind)
    pa.parquet.write_table(pa.table({"text": TEXTS, "label": labels}), tmp_path / "a.parquet")
    data = data_of(str(tmp_path / "a.parquet"), label_names=NAMES)
    assert data.labels == NAMES and data.form.targets(data.splits["train"]).tolist() == HOT


@pytest.mark.parametrize("written", ["[1, 0, 0]", "[1,0,0]", "[True, False, False]", "['1', '0', '0']", "1|0|0"])
def test_cells_of_a_csv_hold_lists_too(written, write):
    other = written.replace("1", "x").replace("0", "1").replace("x", "0").replace("True", "x")
    other = other.replace("False", "True").replace("x", "False")
    data = data_of(write("a.csv", cells([written, other] * 10)), label_names=NAMES[:3])
    assert data.form.targets(data.splits["train"]).tolist() == [[1, 0, 0], [0, 1, 1]] * 10


def test_lists_of_names_in_cells_of_a_csv(write):
    data = data_of(write("a.csv", cells(["['joy', 'anger']", "['joy']", "", "[]"] * 5)))
    assert data.labels == ["anger", "joy"] and data.report["dropped"] == {"train": {"no_label": 5}}
    assert data.form.targets(data.splits["train"]).tolist() == [[1, 1], [0, 1], [0, 0]] * 5
    with pytest.raises(UserError, match=r"row b.csv:2: the label .\[1 0\]. begins as a list, but cannot be read"):
        data_of(write("b.csv", cells(["[1, 0]", "[1 0]"] * 5)))


def test_what_only_looks_like_a_list_is_a_name(write):
    data = data_of(write("a.csv", cells(["[NEG]", "[POS]|[NEG]"] * 5)))
    assert data.labels == ["[NEG]", "[POS]"]
    with pytest.raises(UserError, match=r"row b.csv:1: the label '\[1, 0\]' is a list .* row b.csv:2 is none"):
        data_of(write("b.csv", cells(["[1, 0]", "joy"] * 5)))
    with pytest.raises(UserError, match=r"row c.csv:1: .* cannot be read as one"):
        data_of(write("c.csv", ["text,label", "a," + "[" * 10_000 + "1"]))


def test_a_column_for_each_label(write, tmp_path):
    words = {1: ["1", "true", "1.0"], 0: ["0", "False", "0.0"]}
    rows = [[words[value][place % 3] for place, value in enumerate(row)] for row in HOT]
    rows[5][2] = ""
    path = write("a.csv", [",".join(["text", *NAMES]), *(",".join([t, *r]) for t, r in zip(TEXTS, rows, strict=True))])
    data = data_of(path, label=NAMES)
    assert data.labels == NAMES and data.report["dropped"] == {"train": {"no_label": 1}}
    assert data.form.targets(data.splits["train"]).tolist() == [row for place, row in enumerate(HOT) if place != 5]
    chosen = data_of(path, label=["obscene", "toxic"], label_names=["O", "T"])
    assert chosen.labels == ["O", "T"]
    assert chosen.form.targets(chosen.splits["train"]).tolist() == [[row[3], row[0]] for row in HOT]

    columns = {name: pa.array([row[place] for row in HOT], pa.float64()) for place, name in enumerate(NAMES)}
    pa.parquet.write_table(pa.table({"text": TEXTS, **columns}), tmp_path / "a.parquet")
    data = data_of(str(tmp_path / "a.parquet"), label=NAMES)
    assert data.form.targets(data.splits["train"]).tolist() == HOT


@pytest.mark.parametrize(
    ("label", "kind", "message"),
    [
        (["a", "b"], "single_label", "task=multilabel_classification"),
        (["a"], "regression", "task=multilabel_classification"),
        ([], "multi_label", "data.label names no column"),
        (["a", "a"], "multi_label", "name each column once"),
        (["a", "d"], "multi_label", "a.csv' has no column 'd'. Its columns: text, a, b, c"),
        (["a", "c"], "multi_label", "a.csv, row 2: 'c' is '2'. .*each holds 0 or 1"),
        (["a", "text"], "multi_label", "both name the column 'text'"),
    ],
)
def test_columns_that_are_no_labels(label, kind, message, write):
    path = write("a.csv", ["text,a,b,c", "x,1,0,1", "y,0,1,2"])
    with pytest.raises(UserError, match=message):
        TableData(path=path, label=label, val_fraction=0, test_fraction=0).bind(
            TextClassificationForm(kind), None, 1
        ).setup()


TWO_WAYS = [
    ([[0], [1]] * 10, r"a 0 or a 1, .* names '0' and '1', or as no or yes to one label"),
    ([[1, 0], [0, 1]] * 10, r"a 0 and a 1, .* as no and yes to two labels"),
    ([0, 1] * 10, r"a 0 or a 1, .*data.label=\[<column>\]"),
    (["0", "", "1"] * 10, r"a 0 or a 1, .*data.label=\[<column>\]"),
]


@pytest.mark.parametrize(("labels", "message"), TWO_WAYS)
def test_what_can_be_read_in_two_ways_is_refused_with_the_key_that_decides(labels, message, write):
    path = write("a.jsonl", lines(labels))
    with pytest.raises(UserError, match=message) as refused:
        data_of(path)
    assert "data.multi_hot=true" in str(refused.value) and "data.multi_hot=false" in str(refused.value)
    assert data_of(path, multi_hot=False).labels == ["0", "1"]


def test_the_key_decides_both_ways(write):
    path = write("a.jsonl", lines([[1, 0], [0, 1]] * 10))
    hot, names = data_of(path, multi_hot=True), data_of(path, multi_hot=False)
    assert hot.form.targets(hot.splits["train"]).tolist() == [[1, 0], [0, 1]] * 10
    assert names.form.targets(names.splits["train"]).tolist() == [[1, 1], [1, 1]] * 10
    one = data_of(write("b.jsonl", lines([[0], [1]] * 10)), label_names=["toxic"])
    assert one.labels == ["toxic"] and one.form.targets(one.splits["train"]).tolist() == [[0], [1]] * 10
    numbers = data_of(write("c.jsonl", lines([[0], [1]] * 10)), label_names=["no", "yes"])
    assert numbers.form.targets(numbers.splits["train"]).tolist() == [[1, 0], [0, 1]] * 10


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        ([[1, 0, 1], [1, 0]] * 9, {}, "their number is not the same in all rows: 2, 3"),
        ([[1, 0, 1], [1, 0]] * 9, {"multi_hot": True}, "row a.jsonl:2: 2 values .* the first row has 3"),
        ([[1, 0, 1]] * 9, {"label_names": ["a", "b"]}, r"row a.jsonl:1: 3 values .* there are 2 names \(a, b\)"),
        ([[1, 0, 1], [1, None, 0]] * 9, {}, "row a.jsonl:2: an empty one among labels of 0 and 1"),
        ([[1, 0]] * 9, {"label_names": ["a", "a"], "multi_hot": True}, "names a label twice: a, a"),
        ([[1, 0, 2]] * 9, {"multi_hot": True}, "row a.jsonl:1: 2 among labels of 0 and 1"),
        ([[1, 0, 1], [1, -1, 0]] * 9, {}, "row a.jsonl:2: -1 among labels of 0 and 1"),
        ([[1.0, 0.5]] * 9, {}, "row a.jsonl:1: 0.5 among labels of 0 and 1"),
        ([[True, False]] * 9, {"multi_hot": False}, "bool values, not names"),
    ],
)  # fmt: skip
def test_what_is_neither_is_refused(labels, given, message, write):
    with pytest.raises(UserError, match=message):
        data_of(write("a.jsonl", lines(labels)), **given)


def test_numbers_of_labels_stay_numbers_of_labels(write):
    path = write("a.jsonl", lines([[0, 2], [1], [], [0, 1]] * 5))
    data = data_of(path, label_names=NAMES[:3])
    assert data.form.targets(data.splits["train"]).tolist() == [[1, 0, 1], [0, 1, 0], [0] * 3, [1, 1, 0]] * 5
    path = write("b.jsonl", lines([[0], [1], [], [0, 1]] * 5))
    assert data_of(path).labels == ["0", "1"]


def test_all_splits_are_read_alike(write):
    train, val = write("a.jsonl", lines(HOT)), write("b.jsonl", lines([[1, 0, 0, 0]] * 4))
    data = data_of(train, val_path=val, label_names=NAMES)
    assert data.form.targets(data.splits["val"]).tolist() == [[1, 0, 0, 0]] * 4
    two = data_of(write("c.jsonl", lines([[1, 1], [0, 1]] * 9)), val_path=write("d.jsonl", lines([[1, 0]] * 4)))
    assert two.form.targets(two.splits["val"]).tolist() == [[1, 0]] * 4
    with pytest.raises(UserError, match=r"row b.jsonl:1: 4 values"):
        data_of(write("e.jsonl", lines([[1, 0, 0]] * 9)), val_path=val, multi_hot=True, label_names=NAMES[:3])


def test_a_list_of_one_column_is_a_yes_or_no(write):
    path = write("a.csv", ["text,toxic", *(f"{text},{row[0]}" for text, row in zip(TEXTS, HOT, strict=True))])
    data = data_of(path, label=["toxic"])
    assert data.labels == ["toxic"] and data.form.targets(data.splits["train"]).tolist() == [row[:1] for row in HOT]


def test_yes_and_no_are_zeros_and_ones(write):
    data = data_of(write("a.jsonl", lines([[("no", "yes")[value] for value in row] for row in HOT])))
    assert data.labels == ["0", "1", "2", "3"] and data.form.targets(data.splits["train"]).tolist() == HOT
    rows = (",".join([text, *(("No", "Yes")[value] for value in row)]) for text, row in zip(TEXTS, HOT, strict=True))
    data = data_of(write("a.csv", [",".join(["text", *NAMES]), *rows]), label=NAMES)
    assert data.labels == NAMES and data.form.targets(data.splits["train"]).tolist() == HOT


def test_empty_cells_of_a_column_without_a_0_are_refused(write):
    rows = (f"{text},{row[0]},{row[1] or ''}" for text, row in zip(TEXTS, HOT, strict=True))
    with pytest.raises(UserError, match="the column 'b' has empty cells and no 0"):
        data_of(write("a.csv", ["text,a,b", *rows]), label=["a", "b"])


@pytest.mark.parametrize("names", [["threat", "toxic", "insult", "obscene"], ["T", "toxic", "I", "O"]])
def test_names_at_other_places_than_their_columns_are_refused(names, write):
    rows = (",".join([text, *map(str, row)]) for text, row in zip(TEXTS, HOT, strict=True))
    with pytest.raises(UserError, match=r"data.label_names has '(threat|toxic)' at place ., the data's own"):
        data_of(write("a.csv", [",".join(["text", *NAMES]), *rows]), label=NAMES, label_names=names)


def test_zeros_and_ones_without_a_sign_between_are_refused(write):
    path = write("a.csv", cells(["".join(map(str, row)) for row in HOT]))
    for given in (None, NAMES):
        with pytest.raises(UserError, match=r"such as '0000', look like a 0 or a 1 for each of 4 labels. Write"):
            data_of(path, label_names=given)
    every = sorted({"".join(map(str, row)) for row in HOT})
    assert data_of(path, label_names=every).labels == every  # said to be names


@pytest.mark.parametrize("cell", ["('joy', 'fear')", "{'fear', 'joy'}", "['joy', 'fear']"])
def test_tuples_and_sets_of_python_are_lists_too(cell, write):
    one = {"(": "('joy',)", "{": "{'joy'}", "[": "['joy']"}[cell[0]]
    data = data_of(write("a.csv", cells([cell, one] * 20)))
    assert data.labels == ["fear", "joy"] and data.form.targets(data.splits["train"]).tolist() == [[1, 1], [0, 1]] * 20
