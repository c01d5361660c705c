from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"
HEAVY = ("torch", "lightning", "transformers", "datasets", "pandas")

PARTS = """
from typing import Annotated
import torch
from annotated_types import Gt

class Broken:
    def __init__(self, *, size: Annotated[int, Gt(0)] = 1) -> None:
        raise ZeroDivisionError(f"size {size}")

def sign(network, *, lr: Annotated[float, Gt(0)], slowness: Annotated[int, Gt(0)] = 1) -> torch.optim.Optimizer:
    return torch.optim.Rprop(network.parameters(), lr=lr / slowness)
"""


@pytest.fixture
def own(tmp_path_factory, monkeypatch) -> Path:
    """A config folder of the user's own, and beside it a component that is on the path."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_parts.py").write_text(PARTS)
    write(folder / "conf/data/broken.yaml", "_target_: my_parts.Broken\nsize: 1")
    write(folder / "conf/optimizer/sign.yaml", "_target_: my_parts.sign\nlr: 0.5\nslowness: 1")
    monkeypatch.syspath_prepend(str(folder))
    return folder / "conf"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(content))


# Exit statuses


STOPS = {
    signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated"), signal.SIGHUP: (129, "terminated"),
}  # fmt: skip


@pytest.fixture(scope="module")
def trainings(launch, steady, tmp_path_factory) -> dict[signal.Signals, Any]:
    """Long fits in processes of their own, one for each signal; they start side by side."""
    words = [*steady, "trainer.max_epochs=1000"]
    return {number: launch(tmp_path_factory.mktemp("training"), words) for number in STOPS}


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_ends_a_run_and_says_how_to_go_on(number, trainings):
    process, (status, word) = trainings[number], STOPS[number]
    checkpoint = process.wait_for(lambda: next(process.folder.glob("runs/default/*/checkpoints/last.ckpt"), None))
    assert process.end(number) == status
    run = checkpoint.parents[1]
    assert json.loads((run / "record.json").read_text())["status"] == word
    (told,) = [line for line in process.said().splitlines() if line.startswith(word.capitalize())]
    assert told.endswith(f"resume={run.relative_to(process.folder)}")
    assert "Traceback" not in process.said()


def test_a_component_that_fails_ends_in_a_traceback(noria, own, capsys):
    assert noria("--config-dir", own, "data=broken", "data.size=3", "logger=csv") == 1
    said = capsys.readouterr().err
    assert "Traceback" in said and "ZeroDivisionError: size 3" in said and "a component of yours" in said


def test_a_mistake_ends_in_a_sentence(noria, capsys, tmp_path):
    assert noria("optimizer.lrr=1e-4") == 2
    said = capsys.readouterr()
    assert said.err.strip() == "optimizer.lrr is not a key of the config. Did you mean 'optimizer.lr'?"
    assert said.out == "" and not list(tmp_path.iterdir())


# Looking without running


def test_help_lists_every_group_and_choice(noria, capsys, tmp_path):
    assert noria("--help") == 0
    said = capsys.readouterr().out
    groups = [folder for folder in CONF.iterdir() if folder.is_dir() and folder.name not in ("local", "hydra")]
    assert len(groups) >= 15
    for folder in groups:
        names = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        assert f"{folder.name}: {names}" in said
    for command in ("noria experiment=quickstart", "stage=evaluate artifact=", "stage=predict", "resume=", " -m "):
        assert command in said
    assert not list(tmp_path.iterdir())


def test_cfg_job_prints_the_config(noria, capsys, tmp_path):
    assert noria("experiment=quickstart", "data.batch_size=7", "--cfg", "job") == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["batch_size"] == 7 and config["data"]["source"] == "rotten_tomatoes"
    assert (
        config["optimizer"]["lr"]
        == yaml.safe_load((CONF / "experiment/quickstart.yaml").read_text())["optimizer"]["lr"]
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("noria experiment=qui", "experiment=quickstart"),
        ("noria model=", "model=minilm"),
        ("noria optimizer.l", "optimizer.lr="),
        ("noria experiment=quickstart trainer.max_e", "trainer.max_epochs="),
    ],
)
def test_tab_completion(typed, offered, noria, monkeypatch, capsys):
    monkeypatch.setenv("COMP_LINE", typed)
    monkeypatch.setenv("COMP_POINT", str(len(typed)))
    assert noria("-sc", "query=bash") == 0
    assert offered in capsys.readouterr().out.split()


# The user's own configs


def test_a_component_and_a_choice_of_the_users_own(noria, own, tiny, tmp_path):
    words = ["--config-dir", own, "optimizer=sign", "optimizer.lr=0.25", "+optimizer.slowness=2"]
    assert noria(*tiny, *words) == 2  # slowness stands in the YAML
    words[-1] = "optimizer.slowness=2"
    assert noria(*tiny, *words, "scheduler=constant", "trainer.log_every_n_steps=1", "metric=[accuracy]") == 0
    run = (tmp_path / "runs/latest").resolve()
    record = json.loads((run / "record.json").read_text())
    assert record["choices"]["optimizer"] == "sign"
    assert record["config"]["optimizer"] == {"_target_": "my_parts.sign", "lr": 0.25, "slowness": 2}
    with (run / "metrics.csv").open() as file:
        assert {float(row["train/lr"]) for row in csv.DictReader(file) if row["train/lr"]} == {0.125}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("optimizer.slownes=2", "Did you mean 'optimizer.slowness'?"),
        ("optimizer.slowness=0", "optimizer.slowness = 0 is out of range: it must be greater than 0."),
        ("optimizer.lr=fast", "optimizer.lr = 'fast' is not a number."),
    ],
)
def test_the_users_own_component_is_checked_like_noria_s(word, said, noria, own, capsys, tmp_path):
    assert noria("--config-dir", own, "optimizer=sign", word) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_local_defaults_go_over_the_experiment_and_under_what_is_typed(noria, tmp_path, capsys):
    write(tmp_path / "my/local/default.yaml", "# @package _global_\nseed: 7\noptimizer:\n  lr: 0.5\n")
    words = ["--config-dir", tmp_path / "my", "experiment=quickstart", "--cfg", "job"]
    assert noria(*words) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["seed"], config["optimizer"]["lr"]) == (7, 0.5)
    assert noria(*words, "seed=8") == 0
    assert yaml.safe_load(capsys.readouterr().out)["seed"] == 8


def test_dotenv_fills_in_the_environment_and_never_goes_over_it(noria, tmp_path, monkeypatch, capsys):
    for name in ("NORIA_TEST_FIRST", "NORIA_TEST_SECOND"):
        monkeypatch.setenv(name, "")  # so that what .env sets is taken back
    monkeypatch.delenv("NORIA_TEST_FIRST")
    monkeypatch.setenv("NORIA_TEST_SECOND", "from the environment")
    (tmp_path / ".env").write_text("NORIA_TEST_FIRST='from the file'\nNORIA_TEST_SECOND='from the file'\n")
    notes = "notes='${oc.env:NORIA_TEST_FIRST}, ${oc.env:NORIA_TEST_SECOND}'"
    assert noria(notes, "--cfg", "job", "--resolve", "--package", "notes") == 0
    assert "from the file, from the environment" in capsys.readouterr().out
    assert os.environ["NORIA_TEST_SECOND"] == "from the environment"


# What a mistake costs

DRIVER = f"""
import json, sys
from noria.cli.main import main
status = main(sys.argv[1:])
print(json.dumps([status, [name for name in {HEAVY} if name in sys.modules]]))
"""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("optimizer.lrr=1", 2),
        ("+trainer.max_epoch=1 data.batch_size=0", 2),
        ("task=text_regression metric=[f1]", 2),
        ("resume=nowhere", 2),
        ("stage=evaluate artifact=nowhere", 2),
        ("optimizer.lr=1e-4,-1 seed=1,2 --multirun", 2),
        ("experiment=quickstart --cfg job", 0),
        ("--help", 0),
    ],
)
def test_a_mistake_imports_nothing_heavy_and_leaves_nothing(words, status, tmp_path):
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, *words.split()], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    print(f"{words}: {time.perf_counter() - started:.2f} s")  # a figure for people: cores are not ours alone
    assert json.loads(done.stdout.splitlines()[-1]) == [status, []]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


# Many runs


def test_a_bad_last_value_stops_a_grid_before_its_first_trial(noria, tiny, tmp_path, capsys):
    assert noria(*tiny, "optimizer.lr=1e-3,1e-4", "trainer.max_epochs=1,2,-2", "-m") == 2
    assert "trainer.max_epochs = -2 is out of range" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_search_without_multirun_says_that_it_is_one_run(noria, tiny, capsys, monkeypatch):
    assert noria(*tiny, "hparams_search=lr_grid", "optimizer.lr=-1") == 2
    assert "hparams_search=lr_grid without --multirun: this is one run" in capsys.readouterr().err
    monkeypatch.setenv("WANDB_SWEEP_ID", "of an agent")
    assert noria(*tiny, "hparams_search=lr_grid", "optimizer.lr=-1") == 2
    assert "multirun" not in capsys.readouterr().err


def test_a_sweep_does_not_resume_one_run(noria, fitted, capsys):
    assert noria(f"resume={fitted}", "seed=1,2", "-m") == 2
    assert "a sweep goes on by itself" in capsys.readouterr().err


def test_trials_report_validation_only(noria, tiny, tmp_path):
    assert noria(*tiny, "metric=[accuracy]", "seed=1,2", "--multirun") == 0
    trials = _trials(tmp_path)
    records = [json.loads(path.read_text()) for path in trials]
    assert [record["seed"] for record in records] == [1, 2]
    assert len({record["wandb"]["id"] for record in records}) == 2
    for path, record in zip(trials, records, strict=True):
        assert record["status"] == "done" and "test_looks" not in record
        assert set(record["metrics"]) == {"val/loss", "val/accuracy"}
        assert set(pq.read_table(path.parent / "predictions.parquet")["split"].to_pylist()) == {"val"}
        assert (path.parent / "artifact" / "noria.yaml").is_file()
    assert not (tmp_path / "runs/test_looks.jsonl").exists()


def test_a_trial_that_fails_keeps_the_others(noria, tiny, tmp_path, capsys):
    assert noria(*tiny, "metric=[accuracy]", "optimizer.lr=1e30,1e-3", "-m") == 1
    records = [json.loads(path.read_text()) for path in _trials(tmp_path)]
    assert [record["status"] for record in records] == ["failed", "done"]
    assert "loss became nan" in records[0]["error"]
    out, err = capsys.readouterr()
    told = " ".join(out.split())
    assert "trial 0 (optimizer.lr=1e+30) failed: " in told and "loss became nan" in told
    assert "1 of 2 trials is not done" in err and "Traceback" not in out + err


def _trials(tmp_path: Path) -> list[Path]:
    """The records of the only sweep's trials, in the order of the command."""
    (sweep,) = tmp_path.glob("runs/default/sweep-*/sweep.json")
    return [sweep.parent / trial["folder"] / "record.json" for trial in json.loads(sweep.read_text())["trials"]]
