"""Pairs through the `datasets` library, out of a local folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noria.common.errors import UserError
from noria.data.source.hub_parallel import HubParallelData


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()
    for name in ("train", "validation"):
        rows = [{"translation": {"en": f"{name} {n}", "de": f"{name}, {n}"}} for n in range(3)]
        path = tmp_path / "files" / f"{name}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "files"


def test_a_column_of_translations(folder: Path) -> None:
    data = HubParallelData(path=str(folder), source="en", target="de", test_split=None)
    rows = data.read()
    assert {*rows} == {"train", "val"}
    assert rows["val"].table.to_pylist()[1] == {
        "id": "validation:2",
        "text": "validation 1",
        "targets": ["validation, 1"],
        "trivial": ["validation 1"],
    }


def test_a_language_that_it_lacks(folder: Path) -> None:
    data = HubParallelData(path=str(folder), source="en", target="fr", test_split=None)
    with pytest.raises(UserError, match=r"split train, row 1: there is no column 'fr'.*data.target names it"):
        data.read()
