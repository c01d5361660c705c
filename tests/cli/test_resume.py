from __future__ import annotations

import csv
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from noria.callback.checkpoint import checkpoints
from noria.callback.interrupt import Interrupt
from noria.cli.resume import find_unfinished, refuse_changes, refuse_finished
from noria.common.errors import UserError
from noria.config.hashing import config_hash

STEPS = 46  # an epoch of the steady fit


@pytest.fixture(scope="module")
def words(steady: list[str], tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two epochs of the steady fit, with dropout."""
    model = shutil.copytree(tiny_model, tmp_path_factory.mktemp("models") / "dropout")
    config = json.loads((model / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    (model / "config.json").write_text(json.dumps(config))
    steady = [f"model.name={model}" if word.startswith("model.name=") else word for word in steady]
    return [*steady, "trainer.max_epochs=2", "callback.checkpoint.every_n_steps=20"]


@pytest.fixture(scope="module")
def killed(words: list[str], launch: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a fit that `kill -9` ended in its first epoch, some steps after a checkpoint."""
    process = launch(tmp_path_factory.mktemp("killed"), words)
    checkpoint = process.wait_for(lambda: next(process.folder.glob("runs/default/*/checkpoints/last.ckpt"), None))
    run = checkpoint.parents[1]
    process.wait_for(lambda: len(rows(run)) > torch.load(checkpoint, weights_only=True)["global_step"] + 1)
    process.end(signal.SIGKILL)
    return run


def rows(run: Path) -> list[dict[str, str]]:
    """What `metrics.csv` says, but for the speed."""
    if not (run / "metrics.csv").exists():
        return []
    with (run / "metrics.csv").open() as file:
        return [{k: v for k, v in row.items() if not k.startswith("throughput/")} for row in csv.DictReader(file)]


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)["state_dict"]


def history(run: Path) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in record(run)["history"]]


def test_a_killed_run_goes_on_as_if_nothing_had_been(killed, words, noria, tmp_path, monkeypatch):
    run = tmp_path / "moved"
    shutil.copytree(killed, run)
    before = record(run)
    stood_at = torch.load(run / "checkpoints/last.ckpt", weights_only=True)["global_step"]
    assert before["status"] == "running" and 0 < stood_at < STEPS
    assert len(rows(run)) > stood_at, "some steps must be made twice, or this proves less"

    # from another folder than the one it was started in, with another logger and a note
    assert noria(f"resume={run}", "notes=again", "trainer.log_every_n_steps=1") == 0
    after = record(run)
    assert after["status"] == "done" and after["config"]["notes"] == "again"
    assert after["wandb"]["id"] == before["wandb"]["id"] and after["started"] == before["started"]
    assert len(after["resumed"]) == 1
    assert [row["step"] for row in after["history"]] == [STEPS, 2 * STEPS]

    assert noria(*words) == 0
    whole = (tmp_path / "runs/latest").resolve()
    assert whole != run
    resumed, uninterrupted = weights(run), weights(whole)
    assert resumed.keys() == uninterrupted.keys()
    assert all(torch.equal(resumed[name], uninterrupted[name]) for name in resumed)
    assert rows(run) == rows(whole) and len(rows(run)) == 2 * STEPS
    assert history(run) == history(whole) and after["metrics"] == record(whole)["metrics"]

    assert noria(f"resume={run}") == 2  # and now it is done


def test_what_would_change_the_mathematics_is_refused(killed, noria, capsys):
    before = record(killed)
    assert noria(f"resume={killed}", "optimizer.lr=5e-3", "data.batch_size=4", "+data.num_workers=1") == 2
    said = capsys.readouterr().err
    assert "optimizer.lr: was 0.001, would be 0.005" in said
    assert "data.batch_size: was 2, would be 4" in said
    assert "num_workers" not in said and "start a new run" in said
    assert record(killed) == before


def test_another_choice_is_refused_too(killed, noria, capsys):
    assert noria(f"resume={killed}", "optimizer=sgd") == 2
    said = capsys.readouterr().err
    assert "optimizer._target_: was 'noria.optimizer.adamw.adamw', would be 'noria.optimizer.sgd.sgd'" in said
    assert "optimizer.momentum: was (not set), would be 0.9" in said


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        (["callback.checkpoint.mode=min"], "callback.checkpoint.mode: was 'max', would be 'min'"),
        (["callback.checkpoint.monitor=val/loss"], "callback.checkpoint.monitor: was 'val/accuracy'"),
        (["callback=[progress]"], "callback.checkpoint._target_: was 'noria.callback.checkpoint.checkpoints'"),
    ],
)
def test_another_rule_for_which_weights_are_kept_is_refused(typed, named, killed, noria, capsys):
    before = record(killed)
    assert noria(f"resume={killed}", *typed) == 2
    assert named in capsys.readouterr().err and record(killed) == before


@pytest.mark.parametrize("step", [6, 12, 18])  # in the middle of an epoch, at its end, in the last one
def test_a_run_that_ends_in_a_validation_makes_it_again(step, tiny, noria, tmp_path, monkeypatch):
    """Lightning takes a checkpoint from the batch before a validation for one from after it."""
    words = [*tiny, "data.batch_size=4", "trainer.accumulate_grad_batches=2", "trainer.val_check_interval=0.5"]
    words += ["trainer.max_epochs=2", "callback.checkpoint.every_n_steps=3", "trainer.log_every_n_steps=1"]
    assert noria(*words, "paths.run_dir=whole") == 0

    def interrupted(self, trainer, *_):
        if trainer.global_step == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "on_validation_batch_start", interrupted)
        assert noria(*words, "paths.run_dir=half") == 130
    assert len([row for row in rows(tmp_path / "half") if row["train/loss"]]) == step
    assert noria(*words, "resume=half") == 0
    whole, half = tmp_path / "whole", tmp_path / "half"
    assert rows(half) == rows(whole) and len([row for row in rows(whole) if row["val/loss"]]) == 4
    assert history(half) == history(whole) and record(half)["metrics"] == record(whole)["metrics"]
    assert all(torch.equal(weights(half)[name], weights(whole)[name]) for name in weights(whole))


# resume=auto


@pytest.fixture
def finished(fitted: Path, tmp_path: Path) -> Callable[..., Path]:
    """finished(name, …): a copy of the run that is done, in this folder's runs, with other facts in its record."""

    def copy(name: str, **facts: Any) -> Path:
        run = tmp_path / "runs/default" / name
        shutil.copytree(fitted, run)
        (run / "record.json").write_text(json.dumps(record(run) | facts))
        return run

    return copy


def test_auto_goes_on_with_the_newest_unfinished_run_of_this_config(finished, noria, tiny, tmp_path):
    old = finished("20200101-000000-aaaa", status="failed")
    new = finished("20200102-000000-aaaa", status="running")
    finished("20200103-000000-aaaa", status="done")
    seed = record(old)["config"] | {"seed": 9}
    finished("20200104-000000-aaaa", status="failed", config_hash="another", config=seed)
    finished("20200105-000000-aaaa", status="failed", stage="evaluate")
    (finished("20200106-000000-aaaa", status="failed") / "checkpoints/last.ckpt").unlink()
    there = set((tmp_path / "runs/default").iterdir())

    assert noria(*tiny, "resume=auto") == 0
    assert (record(new)["status"], len(record(new)["resumed"])) == ("done", 1)
    assert record(old)["status"] == "failed"
    assert set((tmp_path / "runs/default").iterdir()) == there


def test_auto_starts_anew_where_there_is_nothing_to_go_on_from(finished, noria, tiny, tmp_path):
    other = finished("20200101-000000-aaaa", status="failed")
    assert noria(*tiny, "seed=1", "resume=auto") == 0
    new = (tmp_path / "runs/latest").resolve()
    assert new != other and record(new)["resumed"] == [] and record(other)["status"] == "failed"


# The parts


def test_find_unfinished_skips_what_cannot_be_read(tmp_path):
    config = {"seed": 1}
    good, bad = tmp_path / "a", tmp_path / "b"
    for folder in (good, bad):
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints/last.ckpt").touch()
    facts = {"config_hash": config_hash(config), "stage": "fit", "status": "interrupted"}
    (good / "record.json").write_text(json.dumps(facts))
    (bad / "record.json").write_text("{")
    assert find_unfinished(config, tmp_path / "new") == good
    assert find_unfinished({"seed": 2}, tmp_path / "new") is None


def test_refuse_finished(tmp_path):
    refuse_finished(tmp_path)  # no record: nothing speaks against it
    (tmp_path / "record.json").write_text('{"status": "failed"}')
    refuse_finished(tmp_path)
    (tmp_path / "record.json").write_text('{"status": "done"}')
    with pytest.raises(UserError, match=r"this run is done.*trainer.max_epochs=….*model.name=.*artifact"):
        refuse_finished(tmp_path)


def test_refuse_changes():
    before = {"seed": 1, "logger": {"csv": 1}, "resume": None}
    refuse_changes(before, {"seed": 1, "logger": None, "resume": "run", "notes": "x"})
    with pytest.raises(UserError, match="seed: was 1, would be 2"):
        refuse_changes(before, {**before, "seed": 2, "resume": "run"})


def test_the_best_so_far_is_known_after_a_move(tmp_path):
    def best(folder: str) -> Any:
        return checkpoints(directory=str(tmp_path / folder), monitor="val/accuracy", mode="max")[0]

    file, score = "best-epoch=0-step=46.ckpt", torch.tensor(0.9)
    before = best("here")
    before.best_model_path, before.best_k_models = str(tmp_path / "here" / file), {str(tmp_path / "here" / file): score}
    before.best_model_score = before.kth_value = score
    after = best("there")
    after.load_state_dict(before.state_dict())
    assert after.best_model_path == str(tmp_path / "there" / file) and after.best_model_score == score
    assert after.best_k_models == {after.best_model_path: score}
