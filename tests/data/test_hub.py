"""`datasets` on local folders, with the hub switched off."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.data import hub
from noria.data.hub import HubData


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
    data = HubData("single_label", None, 1, path=folder, val_split=None, label_names=["no", "yes"])
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
    data = HubData("single_label", None, 1, path=str(tmp_path / "set"), val_split=None, test_split=None,
                   val_fraction=0, test_fraction=0)  # fmt: skip
    data.setup()
    assert data.labels == ["zebra", "ape"] and data._targets["train"].tolist() == [0, 1]
    assert data.report["dropped"] == {"train": {"no_label": 1}}


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
        HubData("single_label", None, 1, **{"path": folder, **change}).setup()


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
        hub.load("x", None, None, {}, [], "")
