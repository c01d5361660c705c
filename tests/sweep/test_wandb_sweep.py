"""`sweep.yaml` for W&B's agents, from every search that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from noria.common.paths import conf_dir

OVERLAYS = sorted(path.stem for path in (conf_dir() / "hparams_search").glob("*.yaml"))


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
