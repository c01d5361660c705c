"""What makes two trials the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from noria.sweep.identity import code_version, trial_key


@pytest.fixture
def config(tmp_path: Path) -> dict:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\na,b\n")
    return {
        "seed": 0,
        "stage": {"_target_": "noria.stage.fit.fit", "test": True},
        "paths": {"runs": "runs", "run_dir": "runs/a"},
        "data": {"_target_": "noria.data.module.DataModule", "path": str(rows)},
        "optimizer": {"_target_": "noria.optimizer.adamw.adamw", "lr": 1e-3},
        "logger": {"csv": {"path": "runs/a/metrics.csv"}},
        "callback": {"progress": {"_target_": "x"}},
    }


def changed(config: dict, **groups: dict) -> str:
    other = copy.deepcopy(config)
    for name, keys in groups.items():
        other[name] |= keys
    return trial_key(other)


def test_what_only_watches_or_says_where_does_not_count(config):
    other = copy.deepcopy(config)
    other |= {"paths": {"runs": "elsewhere", "run_dir": "elsewhere/b"}, "logger": {}, "callback": {}, "sweep": "mine"}
    assert trial_key(other) == trial_key(config)


def test_the_config_counts(config):
    assert changed(config, optimizer={"lr": 1e-4}) != trial_key(config)
    assert trial_key({**config, "seed": 1}) != trial_key(config)


def test_the_content_of_the_data_counts_and_not_its_time(config):
    before = trial_key(config)
    rows = Path(config["data"]["path"])
    text = rows.read_text()
    rows.write_text(text + "c,d\n")
    assert trial_key(config) != before
    rows.write_text(text)
    assert trial_key(config) == before


def test_a_folder_of_data_counts_file_by_file(config, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("a")
    config["data"]["path"] = str(folder)
    before = trial_key(config)
    (folder / "b.txt").write_text("b")
    folder.touch()
    assert trial_key(config) != before


def test_the_code_of_a_component_of_ones_own_counts(config, tmp_path, monkeypatch):
    module = tmp_path / "mine.py"
    module.write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    config["callback"]["mine"] = {"_target_": "mine.Thing"}
    before = trial_key(config)
    module.write_text("class Thing:\n    size = 2\n")
    code_version.cache_clear()
    assert trial_key(config) != before


def test_outside_training_what_is_opened_and_asked_counts(config):
    config["stage"] = {"_target_": "noria.stage.evaluate.evaluate", "split": "val"}
    config["artifact"] = "runs/a/artifact"
    before = trial_key(config)
    assert changed(config, stage={"split": "test"}) != before
    assert trial_key({**config, "artifact": "runs/b/artifact"}) != before
