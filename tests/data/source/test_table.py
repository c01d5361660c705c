from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet
import pytest

from noria.common.errors import UserError
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm


def data_of(path: str, kind: str = "single_label", **kwargs) -> TableData:
    data = TableData(path=path, **kwargs).bind(TextClassificationForm(kind), None, 1)
    data.setup()
    return data


def test_every_format_gives_the_same_rows(write, reviews, tmp_path):
    pa.parquet.write_table(pa.Table.from_pylist(reviews), tmp_path / "a.parquet")
    paths = [
        write("a.csv", ["text,label", *(f"{r['text']},{r['label']}" for r in reviews)]),
        write("a.tsv", ["text\tlabel", *(f"{r['text']}\t{r['label']}" for r in reviews)]),
        write("a.jsonl", map(json.dumps, reviews)),
        write("a.json", json.dumps(reviews, indent=1).encode()),
        str(tmp_path / "a.parquet"),
    ]
    found = [data_of(path) for path in paths]
    assert len({tuple(data.splits["val"].texts) for data in found}) == 1
    assert len({tuple(data.form.targets(data.splits["train"])) for data in found}) == 1
    ids = sorted(id for rows in found[0].splits.values() for id in rows.ids)
    assert ids == sorted(f"a.csv:{number}" for number in range(1, 61))
    assert found[0].report["sources"]["train"] == paths[0]


def test_a_file_for_each_split(write, reviews):
    lines = [json.dumps(row) for row in reviews]
    data = data_of(
        write("train.jsonl", lines[:40]),
        val_path=write("val.jsonl", lines[40:50]),
        test_path=write("test.jsonl", lines[48:]),
    )
    assert data.report["rows"] == {"train": 40, "val": 10, "test": 12}
    assert data.report["overlaps"]["val/test"]["count"] == 2
    assert data.report["overlaps"]["train/val"]["count"] == 0


def test_named_columns_and_pairs(write):
    path = write("a.csv", ["q,p,y", *(f"q{i},p{i},{i % 3}" for i in range(60))])
    data = data_of(path, text=["q", "p"], label="y", label_names=["no", "maybe", "yes"])
    assert data.splits["train"].pairs is not None and data.labels == ["no", "maybe", "yes"]
    data = data_of(path, text="p", label="y")
    assert data.splits["train"].pairs is None and data.labels == ["0", "1", "2"]


def test_integers_in_numeric_order_and_regression_from_text(write):
    lines = ["text,label", *(f"t{i},{i % 11}" for i in range(60))]
    assert data_of(write("a.csv", lines)).labels == [str(i) for i in range(11)]
    data = data_of(write("b.csv", lines), "regression")
    assert data.labels == [] and data.form.targets(data.splits["train"]).max() == 10


@pytest.mark.parametrize(
    ("content", "kwargs", "message"),
    [
        (["text,label"], {}, "a.csv holds no rows"),
        ([], {}, "a.csv' is empty"),
        (["text,label", "a,1"], {"text": ["text", "pair"]}, "no column 'pair'. Its columns: text, label"),
        (["text,label", "a,1"], {"text": []}, "data.text names 0 columns"),
        (["text,label", "a,1"], {"label": "labels"}, "Did you mean 'label'"),
        (["text,label", " ,1", ",0"], {}, r"every row was left out \(no text: 2\)"),
    ],
)
def test_what_is_wrong_is_said(write, content, kwargs, message):
    with pytest.raises(UserError, match=message):
        data_of(write("a.csv", content), **kwargs)


def test_a_value_that_is_no_number(write):
    path = write("a.csv", ["text,label", "a,1.5", "b,good", *(f"t{i},{i}" for i in range(60))])
    with pytest.raises(UserError, match=r"a.csv, row a.csv:2: the label 'good' is not a number"):
        data_of(path, "regression")


def test_the_wrong_column_for_texts(write):
    path = write("a.csv", ["text,n,label", *(f"t{i},{i},{i % 2}" for i in range(60))])
    with pytest.raises(UserError, match="column 'n' holds nothing but numbers"):
        data_of(path, text="n")
    for text in ("label", ["text", "text"]):
        with pytest.raises(UserError, match="name a column twice"):
            data_of(path, text=text)


def test_the_wrong_column_for_classes(write):
    path = write("a.csv", ["text,label", *(f"t{i},{i / 3:.2f}" for i in range(60))])
    with pytest.raises(UserError, match="task=text_regression"):
        data_of(path)
    path = write("b.csv", ["text,label", *(f"t{i},id{i}" for i in range(60))])
    with pytest.raises(UserError, match="label of its own"):
        data_of(path)


def test_a_real_intent_file(shared_data):
    data = data_of(str(shared_data("banking77") / "train.csv"), label="category")
    assert len(data.labels) == 77 and sum(data.report["rows"].values()) == 10_003
