"""`datasets` on local folders, with the hub switched off."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.data.source import hub
from noria.data.source.hub import HubData
from noria.data.source.table import TableData
from noria.task.text_classification.form import TextClassificationForm


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    import datasets
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()


@pytest.fixture
def folder(write, tmp_path):
    write("set/train.csv", ["text,label", *(f"train {i},{i % 2}" for i in range(60)), ",1"])
    write("set/test.csv", ["text,label", "test a,1", "test b,0"])
    return str(tmp_path / "set")


def test_a_local_folder(folder):
    data = HubData(path=folder, val_split=None, label_names=["no", "yes"]).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert data.report["rows"]["test"] == 2 and data.report["rows"]["train"] + data.report["rows"]["val"] == 60
    assert data.labels == ["no", "yes"] and data.splits["test"].ids == ["test:1", "test:2"]
    assert data.report["dropped"]["train"] == {"no_text": 1} and data.report["revision"] is None
    assert data.report["sources"]["test"] == f"{folder}, split test"


def test_class_names_of_the_data_set(tmp_path):
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["zebra", "ape"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, -1]}, features=features)
    (tmp_path / "set").mkdir()
    rows.to_parquet(str(tmp_path / "set/train.parquet"))
    keys = {"val_split": None, "test_split": None, "val_fraction": 0, "test_fraction": 0}
    data = HubData(path=str(tmp_path / "set"), **keys).bind(TextClassificationForm(), None, 1)
    data.setup()
    assert data.labels == ["zebra", "ape"] and data.form.targets(data.splits["train"]).tolist() == [0, 1]
    assert data.report["dropped"] == {"train": {"no_label": 1}}


WORDS = ["None", "NA", "null", "nan", "n/a", "NULL", "#N/A", "007", "7", "True"]


def read(folder, kind="single_label", **given):
    """All rows of a folder or a file as one split, by `data=hub` or `data=table`."""
    given |= {"val_fraction": 0, "test_fraction": 0}
    made = TableData if folder.endswith(("csv", "parquet")) else partial(HubData, val_split=None, test_split=None)
    data = made(path=folder, **given).bind(TextClassificationForm(kind), None, 1)
    data.setup()
    return data


def test_no_word_of_a_csv_is_taken_for_an_empty_cell_or_a_number(write, tmp_path):
    rows = [f"{text},{label}" for text in ["a", "None", "NA"] for label in [*WORDS, ""]]
    path = write("set/train.csv", ["text,label", *rows, ",7"])
    hub, table = read(str(tmp_path / "set")), read(path)
    assert set(hub.labels) == set(table.labels) == set(WORDS)
    assert hub.splits["train"].texts == table.splits["train"].texts
    assert hub.form.targets(hub.splits["train"]).tolist() == table.form.targets(table.splits["train"]).tolist()
    assert hub.report["dropped"] == table.report["dropped"] == {"train": {"no_text": 1, "no_label": 3}}


def test_a_folder_of_tsv_files(write, tmp_path):
    write("set/train.tsv", ["text\tlabel", *(f'"no {i}, yes"\t{("None", "some")[i % 2]}' for i in range(8))])
    data = read(str(tmp_path / "set"))
    assert data.labels == ["None", "some"] and data.splits["train"].texts[0] == "no 0, yes"


def test_names_inside_a_list_of_classes_also_from_a_parquet_alone(tmp_path):
    import datasets

    classes = datasets.ClassLabel(names=["zebra", "ape", "cow"])
    features = datasets.Features({"text": datasets.Value("string"), "labels": datasets.List(classes), "one": classes})
    columns = {"text": ["a", "b", "c"], "labels": [[0, 2], [1], []], "one": [2, 0, -1]}
    (tmp_path / "set").mkdir()
    path = str(tmp_path / "set/train.parquet")
    datasets.Dataset.from_dict(columns, features=features).to_parquet(path)
    for where in (str(tmp_path / "set"), path):
        data = read(where, "multi_label", label="labels")
        assert data.labels == ["zebra", "ape", "cow"]
        assert data.form.targets(data.splits["train"]).tolist() == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
        data = read(where, label="one")
        assert data.labels == ["zebra", "ape", "cow"] and data.form.targets(data.splits["train"]).tolist() == [2, 0]
        assert data.report["dropped"] == {"train": {"no_label": 1}}


def test_each_file_names_its_own_classes(tmp_path):
    import datasets

    for split, names in (("train", ["bad", "good"]), ("val", ["good", "bad"])):
        features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)})
        columns = {"text": ["a", "b", "c"], "label": [0, 1, 1]}
        datasets.Dataset.from_dict(columns, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    data = read(str(tmp_path / "train.parquet"), val_path=str(tmp_path / "val.parquet"))
    assert data.labels == ["bad", "good"]
    assert {split: rows.table["label"].to_pylist() for split, rows in data.splits.items()} == {
        "train": ["bad", "good", "good"],
        "val": ["good", "bad", "bad"],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"has no split 'validation'. .*data.val_split=null cuts one from train"),
        ({"val_split": "tests"}, "Did you mean 'test'"),
        ({"val_split": None, "label": "labels"}, r"split train has no column 'labels'.*mean 'label'"),
        ({"name": "other"}, r"\(other\) cannot be loaded"),
        ({"path": "/nowhere/at/all"}, "'/nowhere/at/all' cannot be loaded"),
        ({"path": "nobody/nothing", "revision": "v1"}, "'nobody/nothing' at v1 cannot be loaded.*data=table"),
    ],
)
def test_what_is_wrong_is_said(folder, change, message):
    with pytest.raises(UserError, match=message):
        HubData(**{"path": folder, **change}).bind(TextClassificationForm(), None, 1).setup()


def test_no_file_of_the_room_imports_the_library_when_it_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)  # importing it fails
    monkeypatch.setitem(sys.modules, "pandas", None)
    files = sorted(Path(hub.__file__).parent.glob("*.py"))
    assert len(files) > 10
    for file in files:
        spec = importlib.util.spec_from_file_location(f"fresh_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        spec.loader.exec_module(module)
    with pytest.raises(ImportError):
        hub.load("x", None, None, {})
