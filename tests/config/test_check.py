from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

import noria
from noria.common.errors import UserError
from noria.config.check import check


def config(text: str) -> DictConfig:
    made = OmegaConf.create(text)
    assert isinstance(made, DictConfig)
    return made


SOUND = """
seed: 0
monitor: {metric: val/loss, mode: min}
optimizer: {_target_: torch.optim.AdamW, lr: 1.0e-4, weight_decay: "${seed}"}
trainer: {_target_: lightning.pytorch.Trainer, max_epochs: 3, accelerator: cpu}
callback:
  stop: {_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: "${monitor.metric}", patience: 3}
"""


def test_gives_the_resolved_config_as_plain_containers():
    plain = check(config(SOUND), {})
    assert type(plain) is dict and type(plain["optimizer"]) is dict
    assert plain["optimizer"]["weight_decay"] == 0
    assert plain["callback"]["stop"]["monitor"] == "val/loss"


def test_one_problem_is_one_sentence():
    with pytest.raises(UserError) as error:
        check(config("seed: -1"))
    assert str(error.value) == "seed = -1 is out of range: it must be at least 0."


def test_every_problem_has_a_line():
    with pytest.raises(UserError) as error:
        check(config("{seed: -1, sed: 3, data: {path: '???'}, optimizer: {_target_: torch.optim.AdamW, lrr: 1}}"))
    assert len(str(error.value).splitlines()) == 4


def test_rules_are_asked_after_the_schema():
    broken = "{trainer: {accelerator: cpu, precision: 16-mixed}, seed: %s}"
    with pytest.raises(UserError, match="needs a GPU"):
        check(config(broken % "1"))
    with pytest.raises(UserError) as error:
        check(config(broken % "x"))
    assert "needs a GPU" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{seed: '${sed}', data: {x: 1}}",
            "seed refers to ${sed}, which is not in the config. Did you mean 'seed'?",
        ),
        ("{notes: '${data.path}', data: {path: '???'}}", "data.path is required: type data.path=…"),
        ("{notes: 'x ${data.path}', data: {path: '???'}}", "data.path is required: type data.path=…"),
        ("{notes: '${nope:1}'}", "notes uses ${nope:…}, and there is no such resolver."),
        ("{notes: '${tags}', tags: '${notes}'}", "notes refers to itself"),
    ],
)
def test_references_that_cannot_be_resolved(text, said):
    with pytest.raises(UserError) as error:
        check(config(text))
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_group_that_was_chosen_may_be_a_key():
    assert check(config("mine: {x: 1}"), {"mine": "default", "hydra/launcher": "basic"})
    with pytest.raises(UserError, match="mine is not a key"):
        check(config("mine: {x: 1}"), {"other": "default"})


@pytest.mark.parametrize("extra", ["", "sed: 3", "seed: -1"])
def test_imports_nothing_heavy(extra, tmp_path: Path):
    (tmp_path / "config.yaml").write_text(SOUND.replace("seed: 0", extra or "seed: 0"))
    program = """
import sys
from omegaconf import OmegaConf
from noria.common.errors import UserError
from noria.config.check import check
from noria.config.hashing import config_hash
from noria.config.trust import refuse_untrusted
try:
    config_hash(check(OmegaConf.load("config.yaml")))
except UserError as error:
    print("refused:", error)
heavy = {"torch", "lightning", "transformers", "datasets", "pandas", "numpy", "pydantic"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""
    environment = os.environ | {"PYTHONPATH": str(Path(noria.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("refused:" in run.stdout) == bool(extra)
    assert "heavy: []" in run.stdout
