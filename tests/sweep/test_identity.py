"""What makes two trials the same."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest

from noria.common.errors import RunError
from noria.sweep.identity import code_version, load_code, trial_key


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


def test_what_a_callback_writes_does_not_count(config, tmp_path):
    config["callback"]["mine"] = {"_target_": "x", "folder": str(tmp_path / "notes")}
    before = trial_key(config)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "ends.txt").write_text("a trial has ended")
    assert trial_key(config) == before


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


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the user's own: `lab.part.Thing` needs `lab.inner`, `lab.late` inside a function, and `far`."""
    folder = tmp_path / "code" / "lab"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text(
        "import torch\nfrom . import inner\n\n\nclass Thing:\n    def go(self):\n"
        "        from lab.late import SIZE\n        import importlib\n        importlib.import_module('far')\n"
    )
    (folder / "inner.py").write_text("SIZE = 1\n")
    (folder / "late.py").write_text("from lab.deep import SIZE\n")
    (folder / "deep.py").write_text("SIZE = 1\n")
    (folder / "unused.py").write_text("SIZE = 1\n")
    (folder.parent / "far.py").write_text("SIZE = 1\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


@pytest.mark.parametrize("file", ["part.py", "inner.py", "late.py", "deep.py", "__init__.py", "../far.py"])
def test_the_code_of_a_component_of_ones_own_counts_with_all_that_it_imports(config, package, file):
    config["callback"]["mine"] = {"_target_": "lab.part.Thing"}
    before = trial_key(config)
    text = (package / file).read_text()
    (package / file).write_text(text + "MORE = 2\n")
    assert trial_key(config) != before  # in the very process that has asked before
    (package / file).write_text(text)
    assert trial_key(config) == before


def test_code_that_a_component_does_not_use_does_not_count(config, package):
    config["callback"]["mine"] = {"_target_": "lab.part.Thing"}
    before = trial_key(config)
    (package / "unused.py").write_text("SIZE = 2\n")
    assert trial_key(config) == before


def test_a_component_that_a_package_hands_on_counts_where_it_is_defined(config, package):
    (package / "__init__.py").write_text("from lab.inner import Inner as Outer\n")
    (package / "inner.py").write_text("class Inner:\n    pass\n")
    config["callback"]["mine"] = {"_target_": "hydra.utils.get_class", "path": "lab.Outer"}
    before = trial_key(config)
    (package / "inner.py").write_text("class Inner:\n    size = 2\n")
    assert trial_key(config) != before


def test_what_a_process_has_imported_is_not_taken_for_what_stands_there_now(config, package, monkeypatch):
    monkeypatch.setattr("noria.sweep.identity._loaded", {})
    config["callback"]["mine"] = {"_target_": "lab.part.Thing"}
    assert load_code(config) == code_version(config)
    (package / "inner.py").write_text("SIZE = 2\n")
    with pytest.raises(RunError, match=r"inner\.py has been edited since"):
        load_code(config)
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("group", "key", "name", "change"),
    [
        ("data", "path", "corpus", "corpus/b.txt"),  # a folder without a slash
        ("data", "path", "corpus", "corpus/deep/c.txt"),
        ("model", "name", "./corpus", "corpus/b.txt"),
        ("data", "path", "~/rows.csv", "rows.csv"),
        ("data", "path", "~/corpus", "corpus/deep/c.txt"),
        ("task", "weights", "rows.csv", "rows.csv"),  # a file in any group
        ("data", "url", "sqlite:///rows.csv", "rows.csv"),
        ("data", "url", "sqlite:///rows.csv", "rows.csv-wal"),
        ("data", "paths", ["rows.csv", "other.csv"], "other.csv"),
        ("data", "path", ".", "rows.csv"),
    ],
)
def test_whatever_a_path_names_counts(config, tmp_path, monkeypatch, group, key, name, change):
    home = tmp_path / "home"
    (home / "corpus" / "deep").mkdir(parents=True)
    for file in ("rows.csv", "other.csv", "corpus/b.txt", "corpus/deep/c.txt", "rows.csv-wal"):
        (home / file).write_text("a")
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    config.setdefault(group, {})[key] = name
    before = trial_key(config)
    (home / change).write_text("b")
    assert trial_key(config) != before


def test_the_folder_that_all_happens_in_does_not_change_with_each_command(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config["data"]["path"] = "."
    before = trial_key(config)
    for made in ("runs/default/one", ".venv", "__pycache__"):
        (tmp_path / made).mkdir(parents=True)
        (tmp_path / made / "file").write_text("a")
    assert trial_key(config) == before
    config["data"] |= {"path": "rows.csv", "separator": "/"}  # which is no folder
    trial_key(config)


def test_two_values_that_a_command_asks_for_are_two_trials(config):
    for key, values in {
        "data.num_workers": (0, 1),
        "callback.progress": ("a", "b"),
        "stage.test": (True, False),
    }.items():
        group, name = key.split(".")
        one, other = ({**config, group: config[group] | {name: value}} for value in values)
        assert trial_key(one) == trial_key(other)  # what is not asked for is no reason to compute again
        assert trial_key(one, [key]) != trial_key(other, [key])
        assert trial_key(one, ["experiment"]) != trial_key(other, ["experiment"])
        assert trial_key(one, [key]) == trial_key(copy.deepcopy(one), [key])
    assert trial_key(config, ["optimizer.lr"]) == trial_key(config)  # that counts by itself, whichever command asks


@pytest.mark.parametrize("stage", ["evaluate", "predict"])
def test_an_artifact_that_was_trained_anew_is_measured_anew(config, tmp_path, stage):
    artifact, texts = tmp_path / "artifact", tmp_path / "texts.txt"
    artifact.mkdir()
    (artifact / "weights").write_text("a")
    texts.write_text("a")
    config |= {"stage": {"_target_": f"noria.stage.{stage}.{stage}"}, "artifact": str(artifact), "input": str(texts)}
    before = trial_key(config)
    (artifact / "weights").write_text("b")
    between = trial_key(config)
    texts.write_text("b")
    assert len({before, between, trial_key(config)}) == 3


def test_outside_training_what_is_opened_and_asked_counts(config):
    config["stage"] = {"_target_": "noria.stage.evaluate.evaluate", "split": "val"}
    config["artifact"] = "runs/a/artifact"
    before = trial_key(config)
    assert changed(config, stage={"split": "test"}) != before
    assert trial_key({**config, "artifact": "runs/b/artifact"}) != before
