"""What runs a sweep is chosen as every Hydra user chooses it, and what it is given is checked first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

LAUNCH = """
# @package _global_
defaults:
  - override /hydra/launcher: basic
seed: 5
"""

SEARCH = """
# @package _global_
defaults:
  - override /hydra/sweeper: optuna
hydra:
  mode: MULTIRUN
  sweeper:
    direction: maximize
    n_trials: 1
    n_jobs: 1
    storage: null
    sampler:
      _target_: optuna.samplers.RandomSampler
      seed: 1234
    params:
      optimizer.lr: interval(0.0001, 0.01)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder of the user's own configs."""
    for name, text in {
        "experiment/launch": LAUNCH,
        "experiment/plain": "seed: 6",
        "hparams_search/mine": SEARCH,
    }.items():
        path = tmp_path / "own" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    return tmp_path / "own"


def machinery(noria: Callable[..., int], capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[str, str]:
    """The classes of the sweeper and the launcher that a command would take."""
    assert noria(*words, "--cfg", "hydra") == 0
    found = yaml.safe_load(capsys.readouterr().out)["hydra"]
    return tuple(found[part]["_target_"].rpartition(".")[2] for part in ("sweeper", "launcher"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("words", "sweeper", "launcher"),
    [
        ([], "GridSweeper", "LocalLauncher"),
        (["experiment=launch"], "GridSweeper", "BasicLauncher"),
        (["hparams_search=mine"], "OptunaSweeper", "LocalLauncher"),
        (["experiment=launch", "hydra/launcher=local"], "GridSweeper", "LocalLauncher"),  # what is typed wins
        (["hparams_search=asha", "hydra/launcher=basic"], "OptunaSweeper", "BasicLauncher"),
    ],
)
def test_an_overlay_chooses_the_sweeper_and_the_launcher(noria, own, capsys, words, sweeper, launcher):
    assert machinery(noria, capsys, "--config-dir", own, *words) == (sweeper, launcher)


def test_a_search_of_ones_own_runs_without_m_as_its_mode_says(noria, tiny, own, tmp_path):
    plain = [word for word in tiny if not word.startswith("optimizer.lr=")]
    assert noria("--config-dir", own, *plain, "hparams_search=mine", "sweep=one") == 0
    (path,) = tmp_path.glob("runs/default/one/*/record.json")
    assert json.loads(path.read_text())["status"] == "done"
    assert (tmp_path / "runs/default/one/study.db").exists()


def test_a_trial_cannot_choose_what_runs_it(noria, tiny, own, capsys):
    assert noria("--config-dir", own, *tiny, "experiment=plain,launch", "-m") == 2
    assert "hydra/launcher=basic" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.launcher.trial_timeout=-5"], "hydra.launcher.trial_timeout = -5 is out of range"),
        (["hydra.launcher.n_jobs=0", "hydra.launcher.retries=0.5"], "hydra.launcher.retries = 0.5 is not a whole"),
        (["+hydra.launcher.n_jbs=1"], "hydra.launcher.n_jbs is not a key of LocalLauncher. Did you mean 'n_jobs'?"),
        (["hydra/sweeper=optuna", "hydra.sweeper.n_trials=many"], "hydra.sweeper.n_trials = 'many' is not a whole"),
        (["hydra/sweeper=optuna", "hydra.sweeper.direction=minimize"], "monitor.mode=max"),
        (["seed=range(5,1)"], "seed=range(5,1) holds no value"),
        (["hydra/sweeper=optuna", "seed=range(5,1)"], "seed=range(5,1) holds no value"),
    ],
)
def test_a_value_that_is_wrong_is_said_before_the_first_trial(noria, tiny, tmp_path, capsys, words, said):
    assert noria(*tiny, "seed=1,2", *words, "-m") == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not list(tmp_path.rglob("record.json"))
