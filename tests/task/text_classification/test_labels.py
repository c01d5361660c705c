from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noria.common.errors import UserError
from noria.data.rows.rows import NO_LABEL, Rows, from_table
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm
from noria.task.text_classification.labels import as_text, clean, encode, names_of


def rows_of(labels: list | pa.Array) -> Rows:
    table = pa.table({"text": [f"t{i}" for i in range(len(labels))], "label": labels})
    return from_table(table, source="a.csv", where="a.csv", text=["text"], label="label")


def cleaned(labels: list | pa.Array, kind: str = "single_label", declared: list[str] | None = None) -> Rows:
    return clean({"train": rows_of(labels)}, kind, "|", declared)["train"]


@pytest.mark.parametrize(
    ("labels", "names", "targets"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        ([10, 9, 10], ["9", "10"], [1, 0, 1]),
        (["10", "9", "10"], ["9", "10"], [1, 0, 1]),
        (["10", "9", "x"], ["10", "9", "x"], [0, 1, 2]),
        ([True, False, True], ["false", "true"], [1, 0, 1]),
        ([1.0, 0.0, 1.0], ["0", "1"], [1, 0, 1]),
        (["1.0", "0.0", "1"], ["0", "1"], [1, 0, 1]),
        ([-1, 2, -1], ["-1", "2"], [0, 1, 0]),
        (["nan", "inf", "nan"], ["inf", "nan"], [1, 0, 1]),
    ],
)
def test_single_labels(labels, names, targets):
    rows = cleaned(labels)
    assert names_of(rows, "single_label") == names
    encoded = encode(rows, "single_label", names)
    assert encoded.dtype == np.int64 and encoded.tolist() == targets
    assert as_text(rows, "single_label").to_pylist() == [names[target] for target in targets]


def test_blank_labels_are_left_out_and_counted():
    rows = cleaned(["a", " ", "b", ""])
    assert rows.ids == ["a.csv:1", "a.csv:3"] and rows.dropped == {NO_LABEL: 2}
    rows = cleaned([0.0, float("nan"), 1.0])
    assert rows.table["label"].to_pylist() == ["0", "1"] and rows.dropped == {NO_LABEL: 1}


def test_declared_names_for_numbers():
    names = ["negative", "positive"]
    for labels in ([0, 1, 1], ["0", "1", "1"], [False + 0, 1, 1], ["negative", "1", "positive"]):
        rows = cleaned(labels, declared=names)
        assert encode(rows, "single_label", names).tolist() == [0, 1, 1]
    # names that are numbers themselves stand for themselves
    assert cleaned([1, 2, 1], declared=["1", "2"]).table["label"].to_pylist() == ["1", "2", "1"]
    with pytest.raises(UserError, match=r"a.csv, row a.csv:3: the label '2' is not among the known ones: neg"):
        encode(cleaned([0, 1, 2], declared=names), "single_label", names)
    with pytest.raises(UserError, match="twice"):
        cleaned([0, 1], declared=["a", "a"])


def test_an_unknown_label_is_named_with_its_row():
    with pytest.raises(UserError, match=r"row a.csv:2: the label 'meh' is not among the known ones: bad, good"):
        encode(cleaned(["good", "meh"]), "single_label", ["bad", "good"])
    with pytest.raises(UserError, match="label_names"):
        encode(cleaned([0, 1]), "single_label", ["bad", "good"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5, 1.0], r"row a.csv:1: the label 0.5 is a number.*task=text_regression"),
        (["1", "0.25"], r"row a.csv:2: the label 0.25 is a number.*task=text_regression"),
        ([f"x{i}" for i in range(1001)] * 2, "1001 different labels"),
        ([f"x{i}" for i in range(20)], "every row has a label of its own"),
        (["a", "a"], "every row has the label 'a'"),
        ([["a"], ["b"]], "multi-label"),
    ],
)
def test_columns_that_are_no_classes(labels, message):
    with pytest.raises(UserError, match=message):
        names_of(cleaned(labels), "single_label")


@pytest.mark.parametrize(
    "labels",
    [
        ["b|a", "", " a | a", "c"],
        [["b", "a"], [], ["a", "a"], ["c"]],
        pa.array([["b", "a"], [], ["a"], ["c", None]], pa.large_list(pa.string())),
    ],
)
def test_several_labels(labels):
    rows = cleaned(labels, "multi_label")
    names = names_of(rows, "multi_label")
    assert names == ["a", "b", "c"]
    targets = encode(rows, "multi_label", names)
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_several_labels_by_number_and_unknown():
    rows = cleaned([[0, 2], [1], None], "multi_label", ["x", "y", "z"])
    assert rows.table["label"].to_pylist() == [["x", "z"], ["y"]] and rows.dropped == {NO_LABEL: 1}
    with pytest.raises(UserError, match=r"row a.csv:2: the label 'q'"):
        encode(cleaned(["a", "a|q"], "multi_label"), "multi_label", ["a"])
    with pytest.raises(UserError, match="no row has a label"):
        names_of(cleaned(["", ""], "multi_label"), "multi_label")
    with pytest.raises(UserError, match="double values"):
        cleaned([0.5, 1.5], "multi_label")


@pytest.mark.parametrize("labels", [["1.5", " -2 ", "3e0"], [1.5, -2.0, 3.0], pa.array([1.5, -2, 3], pa.float32())])
def test_values(labels):
    targets = encode(cleaned(labels, "regression"), "regression", [])
    assert targets.dtype == np.float32 and targets.tolist() == [1.5, -2.0, 3.0]


def test_values_that_are_none():
    rows = cleaned(["1", "nan", "inf", "", "2"], "regression")
    assert rows.table["label"].to_pylist() == [1.0, 2.0] and rows.dropped == {NO_LABEL: 3}
    with pytest.raises(UserError, match=r"a.csv, row a.csv:2: the label 'high' is not a number"):
        cleaned(["1", "high"], "regression")
    with pytest.raises(UserError, match="bool values, not numbers"):
        cleaned([True, False], "regression")


def test_white_space_is_no_part_of_a_label(caplog):
    rows = cleaned(["good ", "good", "\u00a0bad", "bad"] * 3)
    assert names_of(rows, "single_label") == ["bad", "good"]
    assert "white space around 6 labels is cut off" in caplog.text
    lists = cleaned([["a ", "a"], [" b"]], "multi_label")
    assert lists.table["label"].to_pylist() == [["a"], ["b"]]
    assert "white space around 2 labels is cut off" in caplog.text
    assert encode(cleaned([0, 1], declared=["no ", "yes"]), "single_label", ["no", "yes"]).tolist() == [0, 1]
    assert encode(cleaned(["no"] * 3), "single_label", ["no ", "yes"]).tolist() == [0, 0, 0], "of an older artifact"


def test_labels_that_differ_only_in_capitals_are_said(caplog):
    assert names_of(cleaned(["Good", "good", "bad"]), "single_label") == ["Good", "bad", "good"]
    assert (
        "differ only in capitals, or in signs that look alike, are different labels: 'Good' and 'good'" in caplog.text
    )


SEVERAL = [
    (["joy", "anger", "joy, anger", "fear"], ",", "row a.csv:3: the label 'joy, anger' looks like 2 labels"),
    (["joy;anger", "fear;joy", "anger;fear"], ";", "row a.csv:2: the label 'anger;fear' looks like 2|row a.csv:3"),
    (["joy", "anger", "joy/anger"], "/", "row a.csv:3: the label 'joy/anger'"),
    (["joy", "anger", "joy anger"], " ", "row a.csv:3: the label 'joy anger'"),
    (["joy|fear", "anger", "anger, joy"], ",", "row a.csv:3: the label 'anger, joy'"),
]


@pytest.mark.parametrize(("labels", "sign", "message"), SEVERAL)
def test_a_cell_with_another_sign_between_labels_is_refused(labels, sign, message):
    with pytest.raises(UserError, match=message) as refused:
        cleaned(labels, "multi_label")
    assert f'data.label_separator="{sign}"' in str(refused.value) and "data.label_names" in str(refused.value)
    rows = clean({"train": rows_of(labels)}, "multi_label", sign, None)["train"]
    assert max(map(len, rows.table["label"].to_pylist())) == 2
    own = sorted({name for label in labels for name in label.split("|")})
    assert names_of(cleaned(labels, "multi_label", own), "multi_label") == own, "they are declared to be one label"


def test_an_item_of_a_list_that_is_several_labels_is_refused():
    with pytest.raises(UserError, match=r"row a.csv:2: the label 'joy, anger' looks like 2 .*an item of its own"):
        cleaned([["joy"], ["joy, anger"], ["anger"]], "multi_label")
    labels = [["joy"], ["joy, anger"], ["anger"]]
    assert cleaned(labels, "multi_label", ["joy", "anger", "joy, anger"]).table["label"].to_pylist() == labels


@pytest.mark.parametrize("cell", ["1 0 1", "1,0,1", "1;0;1"])
def test_zeros_and_ones_with_another_sign_between_them_are_refused(cell):
    with pytest.raises(UserError, match=r"looks like 3 labels, for '[01]' and '[01]' stand elsewhere"):
        cleaned([cell, cell[::-1].replace("1", "x").replace("0", "1").replace("x", "0")], "multi_label")


@pytest.mark.parametrize(
    "labels",
    [
        ["Boston, MA", "Seattle, WA", "Boston, MA"],
        ["very good", "good", "very bad", "bad"],
        ["U/S", "S"],
        ["a,", "a", ","],
    ],
)
def test_names_with_signs_in_them_stay_names(labels):
    assert cleaned(labels, "multi_label").table["label"].to_pylist() == [[label] for label in labels]


@pytest.mark.parametrize("label", [1e20, -1e20, 2.0**60, 1e300])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_label_that_is_no_integer_any_more_is_refused_in_every_file(
    tmp_path: Path, label: float, ending: str
) -> None:
    labels = [label if row == 3 else float(row % 2) for row in range(40)]
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"text": [f"film {row}" for row in range(40)], "label": labels}), path)
    elif ending == "jsonl":
        path.write_text("".join(json.dumps({"text": f"film {row}", "label": labels[row]}) + "\n" for row in range(40)))
    else:
        path.write_text("text,label\n" + "".join(f"film {row},{labels[row]!r}\n" for row in range(40)))
    with pytest.raises(UserError, match=rf"row rows.{ending}:4: the label .*e\+.* is a number, not a class"):
        TableData(path=str(path)).bind(TextClassificationForm()).setup()
    with pytest.raises(UserError, match=rf"row rows.{ending}:4: the label .*e\+.* is too large"):
        TableData(path=str(path)).bind(TextClassificationForm("regression")).setup()


def test_long_integers_are_names_and_any_integer_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    names = ["100000000000000000000", "9" * 5000]
    path.write_text("text,label\n" + "".join(f"film {row},{names[row % 2]}\n" for row in range(40)))
    data = TableData(path=str(path)).bind(TextClassificationForm())
    data.setup()
    assert data.labels == names
    numbers = tmp_path / "numbers.parquet"
    labels = [2**57 + row for row in range(40)]
    pq.write_table(pa.table({"text": [f"film {row}" for row in range(40)], "label": labels}), numbers)
    data = TableData(path=str(numbers)).bind(TextClassificationForm("regression"))
    data.setup()
    assert data.form.targets(data.splits["train"]).max() == np.float32(2**57)


@pytest.mark.parametrize(
    ("other", "shown"), [("cafe\u0301", r"'cafe\u0301' and 'caf\u00e9'"), ("caf\u00e9\u200b", r"'caf\xe9' and")]
)
def test_labels_that_look_alike_are_said(other, shown, caplog):
    names_of(cleaned(["caf\u00e9", other, "bar"] * 9), "single_label")
    assert "signs that look alike, are different labels" in caplog.text


def test_declared_names_that_the_data_has_at_other_places_are_refused():
    rows = replace(rows_of([0, 1] * 9), label_names=("neg", "pos"))
    with pytest.raises(
        UserError, match=r"data.label_names has 'pos' at place 0, the data's own names have it at place 1"
    ):
        clean({"train": rows}, "single_label", "|", ["pos", "neg"])


def test_labels_of_bytes_are_refused():
    with pytest.raises(UserError, match="the label column holds binary values, not names"):
        cleaned(pa.array([b"\xff", b"ok"] * 9))


def test_a_column_of_texts_is_no_column_of_labels():
    labels = [f"word {number} and more words" for number in range(10_001)]
    with pytest.raises(UserError, match=r"10001 different labels \(at most 1000\). Is this the right column"):
        names_of(cleaned(labels, "multi_label"), "multi_label")
