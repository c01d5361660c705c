from __future__ import annotations

import copy
from typing import Any

import pytest

from noria.config.hashing import ABSENT, DOES_NOT_MATTER, config_hash, differences, left_out, what_matters

CONFIG: dict[str, Any] = {
    "seed": 0,
    "paths": {"runs": "runs", "run_dir": "runs/a/1"},
    "tags": [],
    "notes": "",
    "resume": None,
    "stage": {"_target_": "noria.stage.fit.fit", "test": True},
    "optimizer": {"_target_": "noria.optimizer.adamw.adamw", "lr": 1e-4, "betas": [0.9, 0.999]},
    "data": {"batch_size": 32, "num_workers": 0},
    "trainer": {"max_epochs": 3, "log_every_n_steps": 10},
    "callback": {
        "checkpoint": {"directory": "runs/a/1/checkpoints", "keep": 1},
        "table": {"file": "runs/a/1/table.txt", "every": 5},
    },
    "logger": {"csv": {"path": "runs/a/1/metrics.csv"}},
}


def changed(key: str, value: object) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *parents, last = key.split(".")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return config


@pytest.mark.parametrize(
    "key",
    [
        "paths.run_dir",
        "paths.mine",
        "tags",
        "notes",
        "resume",
        "artifact",
        "input",
        "stage.test",
        "stage.before",
        "callback.checkpoint.every_n_steps",
        "callback.checkpoint.directory",
        "data.num_workers",
        "trainer.log_every_n_steps",
        "callback.checkpoint.keep",
        "callback.checkpoint.every_n_steps",
        "callback.progress",
        "logger.wandb",
    ],
)
def test_what_does_not_matter(key):
    for value in ("other", {"x": 1}):
        other = changed(key, value)
        if key == "paths.run_dir":
            other["callback"]["table"]["file"] = "other/table.txt"
        assert config_hash(other) == config_hash(CONFIG)
        assert differences(CONFIG, other) == []
        if key == "paths.run_dir":
            break


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("optimizer.lr", 2e-4),
        ("optimizer.betas", [0.9, 0.95]),
        ("data.batch_size", 16),
        ("trainer.max_epochs", 4),
        ("trainer.max_epochs", 3.0),
        ("stage._target_", "noria.stage.evaluate.evaluate"),
        ("callback.table.every", 6),
        ("callback.early_stopping", {"patience": 2}),
        ("callback.checkpoint.monitor", "val/loss"),
        ("callback.checkpoint.mode", "min"),
        ("callback.checkpoint._target_", "mine.Best"),
        ("data.limit", None),
    ],
)
def test_what_matters_changes_the_hash_and_is_named(key, value):
    other = changed(key, value)
    assert config_hash(other) != config_hash(CONFIG)
    (found,) = differences(CONFIG, other)
    assert found[0].startswith(key)
    assert found[2] == (value if not isinstance(value, dict) else 2)


def test_a_key_that_one_side_lacks():
    assert differences(CONFIG, changed("data.limit", 3)) == [("data.limit", ABSENT, 3)]
    assert differences(changed("data.limit", 3), CONFIG) == [("data.limit", 3, ABSENT)]
    assert repr(ABSENT) == "(not set)"


def test_the_hash_is_stable():
    assert config_hash({"seed": 0, "optimizer": {"lr": 1e-4, "name": "é"}}) == "ea4b3c1f0b446e0f"
    reordered = dict(reversed(CONFIG.items()))
    assert config_hash(reordered) == config_hash(CONFIG)


def test_the_config_is_left_as_it_was():
    before = copy.deepcopy(CONFIG)
    what_matters(CONFIG)
    assert before == CONFIG


def test_every_key_left_out_is_named_once():
    assert len(set(DOES_NOT_MATTER)) == len(DOES_NOT_MATTER)


def test_what_is_left_out_is_told_without_the_places():
    config = changed("data.num_workers", 2)
    assert left_out(config, "data") == left_out(config, "data.num_workers") == {"data.num_workers": 2}
    assert left_out(config, "optimizer.lr") == {}
    assert left_out(config, "callback") == {"callback.checkpoint.keep": 1}
    whole = left_out(config, "experiment")  # a group that is no key of the config writes all over it
    assert whole.keys() >= {"data.num_workers", "notes", "stage.test"} and not any("path" in key for key in whole)


@pytest.mark.parametrize("run_dir", ["r", "r/"])
def test_what_only_begins_like_the_run_folder_matters(run_dir):
    """A run folder that is called `r` takes neither `rows.csv` nor `roberta` out of the hash."""
    first = {"paths": {"run_dir": run_dir}, "data": {"path": "rows.csv"}, "callback": {"mine": {"folder": "r/mine"}}}
    assert what_matters(first) == {"data": {"path": "rows.csv"}}
    other = {**first, "data": {"path": "reviews.csv"}}
    assert differences(first, other) == [("data.path", "rows.csv", "reviews.csv")]
    assert left_out({**first, "tags": ["rows"]}, "data.path") == {}
    assert left_out({**first, "logger": {"mine": {"project": "r2", "folder": "r/logs"}}}, "logger") == {
        "logger.mine.project": "r2"
    }
