"""`stage=cycle`: a turn on real feedback in a real database, from reasons to the registry."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tests.conftest import answered

from noria.artifact import bundle
from noria.feedback.store import Store
from noria.inference.runner import Runner
from noria.registry.registry import Registry
from noria.stage import turn as turns
from noria.stage.parts import open_form

Noria = Callable[..., int]
LABELS = ("bad", "good")


@pytest.fixture
def hear(tmp_path: Path) -> Callable[..., None]:
    """hear(version, count): that many users' corrections of answers to texts of another world, all of them right."""

    def write(version: str, count: int = 240, wrongly: bool = True, start: int = 0) -> None:
        store = Store(f"sqlite:///{tmp_path}/feedback.db")
        predictions, said = [], []
        for number in range(start, start + count):
            label = LABELS[number % 2]
            text = f"{'zebra violin' if number % 2 else 'quartz pepper'} number {number}"
            answer = LABELS[1 - number % 2] if wrongly else label
            chances = {name: 0.6 if name == answer else 0.4 for name in LABELS}
            made = answered(uuid.uuid4().hex, text, answer, chances, version=version)
            predictions.append(made)
            said.append((made.id, f"user-{number % 5}", answer == label, None if answer == label else label))
        store.add_predictions(predictions)
        for name, client, correct, label in said:
            store.add_feedback(name, client, correct=correct, correction=label)
        store.close()

    return write


@pytest.fixture
def turn(noria: Noria, fitted: Path, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """turn(*words): one turn from the champion, or from the fitted artifact; the exit status and the turn's record."""

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        champion = tmp_path / "registry" / "champion"
        artifact = champion if champion.exists() else fitted / "artifact"
        before = set(tmp_path.glob("runs/cycle/*/record.json"))
        status = noria(
            *("stage=cycle", f"artifact={artifact}", "logger=csv", "trainer.max_epochs=8", "optimizer.lr=3e-3"),
            *("stage.rows=50", "stage.margin=0.5", "stage.replay=60", *words),
        )
        new = set(tmp_path.glob("runs/cycle/*/record.json")) - before
        return status, json.loads(new.pop().read_text()) if new else {}

    return run


def test_a_better_challenger_becomes_the_champion(turn, hear, tmp_path, capsys, noria) -> None:
    hear("0001")
    status, record = turn("logger=[csv,wandb]")
    assert status == 0 and record["status"] == "done"
    (written,) = tmp_path.glob("runs/cycle/*/wandb/offline-run-*/*.wandb")
    assert record["wandb"]["id"] in written.name
    folder = written.parents[2]
    assert (folder / "fit/metrics.csv").is_file() and not (folder / "metrics.csv").exists()
    assert not (tmp_path / "runs/latest").is_symlink(), "a challenger is not what people open next"
    registry = Registry(tmp_path / "registry")
    assert {reason["name"]: reason["holds"] for reason in record["reasons"]}["errors"]
    assert record["decision"]["promote"], record["decision"]
    assert registry.champion().name == "0002" and registry.champion().facts["parent"] == "0001"
    judged = record["decision"]["sets"]["trusted feedback"]
    assert judged["challenger"]["value"] > judged["champion"]["value"] and judged["p"] < 0.05
    assert record["data"]["feedback"]["corrections"] == 240 and record["data"]["replayed"] == 60
    held_out = judged["champion"]["n"]
    assert record["data"]["rows"]["test"] == held_out and 20 < held_out < 80
    said = " ".join(capsys.readouterr().out.split())
    assert "promoted: better on" in said and "trusted feedback +" in said

    assert noria("stage=cycle", "stage.action=status") == 0
    assert "champion: 0002 of 2 versions" in capsys.readouterr().out
    assert noria("stage=cycle", "stage.action=history") == 0
    assert "0002 (champion)" in capsys.readouterr().out
    assert noria("stage=cycle", "stage.action=rollback") == 0
    assert registry.champion().name == "0001"
    assert [line["champion"] for line in registry.history()] == ["0001", "0002", "0001"]
    registry.add(registry.champion().folder, {"parent": "0001", "promoted": True, "said": "promoted: better"})
    capsys.readouterr()
    assert noria("stage=cycle", "stage.action=history") == 0
    said = capsys.readouterr().out
    assert said.count("never the champion") == 1, "as a turn leaves it that was killed before it could promote"


def test_a_turn_from_a_champion_that_a_turn_made(turn, hear, tmp_path) -> None:
    hear("0001")
    turn()
    hear("0002", wrongly=False, start=240)
    status, record = turn("stage.force=true")
    assert status == 0 and record["champion"] == "0002"
    assert record["data"]["feedback"]["corrections"] == 480
    assert len(Registry(tmp_path / "registry").versions()) == 3


def test_what_a_turn_has_learnt_from_is_no_reason_for_the_next(turn, hear) -> None:
    hear("0001")
    _, record = turn("optimizer.lr=1e-12")
    assert record["reasons"][0]["holds"] and not record["decision"]["promote"]
    status, record = turn()
    assert status == 0 and record["reasons"][0]["value"] == 0 and record["decision"]["version"] is None
    hear("0001", count=60, start=240)
    _, record = turn("stage.force=false")
    assert record["reasons"][0]["value"] == 60 and record["decision"]["version"] == "0003"


def test_watching_turns_once_there_is_more(turn, hear, tmp_path, capsys, monkeypatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    registry = Registry(tmp_path / "registry")

    def user() -> None:
        until(lambda: list(tmp_path.glob("runs/cycle/*/turn-0001/record.json")))
        until(lambda: "failed" in next(tmp_path.glob("runs/cycle/*/turn-0001/record.json")).read_text())
        hear("0001")
        until(lambda: (champion := registry.champion()) and champion.name == "0002")
        until(lambda: list(tmp_path.glob("runs/cycle/*/turn-0002/record.json")))
        until(lambda: '"status": "done"' in next(tmp_path.glob("runs/cycle/*/turn-0002/record.json")).read_text())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=user)
    thread.start()
    try:
        status, _ = turn(
            "stage.watch=true", "stage.every=0.1", "stage.rows=240"
        )  # all of them, and not the first of them
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert status == 130
    said = capsys.readouterr()
    assert said.err.strip().endswith("Interrupted.")
    words = " ".join(said.out.split())
    assert words.index("holds no feedback") < words.index("Waiting for 240 more corrections") < words.index("promoted")
    assert len(list(tmp_path.glob("runs/cycle/*/turn-*"))) == 2, "it waits where nothing is new"


def until(look: Callable[[], Any]) -> None:
    end = time.monotonic() + 300
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("precision", ["32-true", "bf16-true"])
def test_both_models_answer_in_the_precision_that_was_asked_for(fitted: Path, precision: str) -> None:
    facts = bundle.read_facts(fitted / "artifact")
    cfg = OmegaConf.create({"trainer": {"accelerator": "cpu", "precision": precision}})
    data = instantiate(facts["config"]["data"]).bind(
        open_form(fitted / "artifact"), bundle.open_tokenizer(fitted / "artifact")
    )
    found = turns.answers_of(cfg, fitted / "artifact", data, "val")
    runner = Runner(bundle.open_artifact(fitted / "artifact"), precision, torch.device("cpu"))
    expected = runner.measure(data, "val", {}, data.eval_batch_size).predictions
    assert found.equals(expected)
    of_fit = pq.read_table(fitted / "predictions.parquet")
    of_fit = of_fit.filter(pc.equal(of_fit["split"], "val"))
    assert (found["loss"].to_pylist() == of_fit["loss"].to_pylist()) == (precision == "32-true"), "fitted in fp32"


def test_without_a_reason_nothing_is_trained(turn, hear, tmp_path, capsys) -> None:
    hear("0001", count=60, wrongly=False)
    status, record = turn("stage.drift=1e-300")
    assert status == 0 and not record["decision"]["promote"] and record["decision"]["version"] is None
    assert len(Registry(tmp_path / "registry").versions()) == 1
    assert not list(tmp_path.glob("runs/cycle/*/fit"))
    assert "0001 stays: no reason to train" in " ".join(capsys.readouterr().out.split())


def test_a_challenger_that_is_no_better_is_kept_and_not_promoted(turn, hear, tmp_path) -> None:
    hear("0001")
    _, record = turn("optimizer.lr=1e-12")
    registry = Registry(tmp_path / "registry")
    assert not record["decision"]["promote"] and "not shown to be better" in record["decision"]["said"]
    assert registry.champion().name == "0001"
    assert [version.facts.get("promoted") for version in registry.versions()] == [None, False]


def test_a_turn_on_two_devices(hear, fitted, tmp_path) -> None:
    """The other rank is one of the fit: it reads no feedback, asks for no registry, judges nothing."""
    hear("0001", count=60)
    words = ["stage=cycle", f"artifact={fitted / 'artifact'}", "logger=csv", "stage.rows=50", "stage.replay=20"]
    words += [
        "strategy=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "data.batch_size=8",
        "callback=checkpoint",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}

    def run(*words: str) -> None:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parents[2] / "scripts/run.py"), *words],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    run(*words)
    (turn,) = tmp_path.glob("runs/cycle/*/record.json")
    fit = json.loads((turn.parent / "fit/record.json").read_text())
    assert fit["devices"] == 2 and fit["status"] == "done" and "test_looks" not in fit
    assert json.loads(turn.read_text())["status"] == "done"
    assert [version.name for version in Registry(tmp_path / "registry").versions()] == ["0001", "0002"]
    assert fit["stage"] == "fit" and fit["config"]["stage"]["_target_"] == "noria.stage.fit.fit"
    (turn.parent / "fit/record.json").write_text(json.dumps({**fit, "status": "interrupted"}))
    run(f"resume={turn.parent / 'fit'}")  # a run like any other
    again = json.loads((turn.parent / "fit/record.json").read_text())
    assert again["status"] == "done" and len(again["resumed"]) == 1 and "test_looks" not in again


def test_a_cluster_may_not_start_a_turn_several_times(turn, monkeypatch, capsys) -> None:
    for name, value in {"SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    assert turn()[0] == 2 and "run it without srun and torchrun" in " ".join(capsys.readouterr().err.split())


def test_a_champion_that_was_made_from_a_gguf_file(hear, noria, tiny, tiny_gguf, tmp_path) -> None:
    hear("0001", count=60)
    words = [word for word in tiny if not word.startswith("model")]
    assert noria(*words, "model=smollm2", f"model.name={tiny_gguf}", "stage.test=false") == 0
    assert noria("stage=cycle", "artifact=runs/latest/artifact", "logger=csv", "stage.rows=50", "stage.replay=20") == 0
    (made,) = tmp_path.glob("runs/cycle/*/fit/artifact")
    assert json.loads((made / "config.json").read_text())["model_type"] == "llama"


def test_mistakes(turn, noria, tmp_path, capsys, fitted) -> None:
    assert noria("stage=cycle") == 2
    assert "type artifact=" in capsys.readouterr().err
    assert noria("stage=cycle", "stage.action=status") == 2
    assert "has no champion yet" in capsys.readouterr().err
    status, _ = turn()
    assert status == 2 and "holds no feedback" in " ".join(capsys.readouterr().err.split())
    with Registry(tmp_path / "registry").lock():
        status, _ = turn()
    assert status == 2 and "is being changed by another process" in " ".join(capsys.readouterr().err.split())
