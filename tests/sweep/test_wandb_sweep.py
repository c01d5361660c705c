"""`sweep.yaml` for W&B's agents, from every search that is shipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from noria.common.paths import conf_dir

RUN = Path(__file__).resolve().parents[2] / "scripts/run.py"

OF_FITS = {path.stem for path in (conf_dir() / "hparams_search").glob("*.yaml")} - {"pareto"}  # which trains nothing
OVERLAYS = sorted(OF_FITS)


def written(tmp_path: Path) -> dict:
    (path,) = tmp_path.rglob("sweep.yaml")
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_search_can_be_written_down(noria, tiny, tmp_path, overlay):
    plain = [word for word in tiny if not word.startswith("optimizer.lr=")]  # what is typed is not searched over
    assert noria(*plain, "stage=wandb_sweep", f"hparams_search={overlay}", "-m") == 0
    found = written(tmp_path)
    assert found["metric"] == {"name": "val/accuracy", "goal": "maximize"}
    assert found["method"] == {"lr_grid": "grid", "seeds": "grid", "optuna": "bayes", "asha": "random"}[overlay]
    assert found["parameters"] and f"hparams_search={overlay}" in found["command"]
    assert not any(word.startswith("stage=") for word in found["command"])


def test_ranges_that_are_typed(noria, tiny, tmp_path):
    words = ["optimizer.lr=tag(log,interval(1e-5,1e-3))", "seed=range(0,3)", "data.batch_size=int(interval(8,32))"]
    assert noria(*tiny, *words, "hydra/sweeper=optuna", "stage=wandb_sweep", "-m") == 0
    parameters = written(tmp_path)["parameters"]
    assert parameters["optimizer.lr"] == {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}
    assert parameters["seed"] == {"distribution": "int_uniform", "min": 0, "max": 2}
    assert parameters["data.batch_size"] == {"distribution": "int_uniform", "min": 8, "max": 32}


def test_without_multirun_there_is_no_search(noria, tiny, capsys):
    assert noria(*tiny, "stage=wandb_sweep") == 2
    assert "add --multirun" in capsys.readouterr().err


def as_an_agent_types(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The command of one run, put together by W&B's own functions (wandb/wandb_agent.py, `_command_run`)."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    known = create_sweep_command_args({"args": {key: {"value": value} for key, value in values.items()}})
    known |= {"program": [sweep["program"]], "env": ["/usr/bin/env"]}
    words = []
    for word in map(str, create_sweep_command(sweep["command"])):
        words += known[word[2:-1]] if word.startswith("${") else [word]
    return words


def test_what_an_agent_types_runs_as_the_agents_own_run(tiny, tmp_path):
    space = ["seed=1,2", "trainer.gradient_clip_val=null,1.0", "metric=[accuracy],[accuracy,f1]"]
    write = [sys.executable, str(RUN), *tiny, *space, "hydra/sweeper=optuna", "stage=wandb_sweep", "-m"]
    subprocess.run(write, cwd=tmp_path, check=True, capture_output=True)
    sweep = written(tmp_path)
    values = {key: facts["values"][0] for key, facts in sweep["parameters"].items()}
    assert values["trainer.gradient_clip_val"] == "null"  # W&B types None as the word None
    environment = {**os.environ, "WANDB_SWEEP_ID": "abcd1234", "WANDB_RUN_ID": "efgh5678", "WANDB_MODE": "offline"}
    command = [*as_an_agent_types(sweep, values), "logger=[csv,wandb]"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (path for path in tmp_path.rglob("record.json") if "wandb" not in path.parts)  # W&B has a copy
    record = json.loads(path.read_text())
    assert record["seed"] == 1 and record["config"]["trainer"]["gradient_clip_val"] is None
    assert record["wandb"]["id"] == "efgh5678" and list(tmp_path.rglob("run-efgh5678.wandb"))
