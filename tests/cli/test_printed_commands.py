"""What Noria tells people to type works as it stands: in a shell, with own components, in folders of any name."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from noria.common.command import command, own_folders, own_words, word

MINE = """
import torch

def mine(network, *, lr: float = 1e-3):
    return torch.optim.SGD(network.parameters(), lr=lr)
"""


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "record.json").read_text())


def told(said: str, mark: str) -> str:
    """The command after a mark."""
    (line,) = [line for line in said.splitlines() if mark in line]
    return line.partition(mark)[2].strip()


def in_a_shell(typed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        typed, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs with an optimizer of one's own, and a value for this machine that a run may type over."""
    (tmp_path / "own_parts.py").write_text(MINE)
    conf = tmp_path / "my conf"
    for name, content in {
        "optimizer/mine.yaml": "_target_: own_parts.mine\nlr: 1.0e-3\n",
        "local/default.yaml": "# @package _global_\nseed: 3\n",
    }.items():
        (conf / name).parent.mkdir(parents=True)
        (conf / name).write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return conf


def test_a_run_with_own_components_goes_on_and_is_measured_as_it_says(own, launch, steady, tmp_path):
    """It keeps what its stage was told besides: what to measure before, and to leave the test set alone."""
    words = [*steady, "--config-dir", "my conf", "optimizer=mine", "optimizer.lr=0.01", "seed=4"]
    words += ["paths.runs='my runs'", "stage.test=false", "stage.before=true", "trainer.max_epochs=8"]
    process = launch(tmp_path, words)
    checkpoint = process.wait_for(lambda: next(tmp_path.glob("my runs/default/*/checkpoints/last.ckpt"), None))
    assert process.end(signal.SIGTERM) == 143
    run = checkpoint.parents[1]
    before = record(run)["metrics"]["before/val/accuracy"]

    (tmp_path / "own_parts.py").write_text(MINE + "# mended\n")
    done = in_a_shell(told(process.said(), "last checkpoint:"), tmp_path)
    assert "Edited since this run began: own_parts." in done.stdout
    after = record(run)
    assert after["status"] == "done" and len(after["resumed"]) == 1 and after["seed"] == 4
    assert after["config"]["optimizer"]["_target_"] == "own_parts.mine"
    assert after["metrics"]["before/val/accuracy"] == before and "val/accuracy" in after["metrics"]
    assert "test/accuracy" not in after["metrics"] and "test_looks" not in after

    assert "test" in in_a_shell(re.search(r"\S.*stage=evaluate.*", done.stdout)[0], tmp_path).stdout


def test_a_model_of_data_without_a_test_set_is_measured_as_it_says(noria, tiny, capsys, monkeypatch):
    assert noria(*tiny, "data.test_fraction=0") == 0
    said = capsys.readouterr().out
    evaluate = re.search(r"noria stage=evaluate.*", said)[0]
    assert "stage.split=val" in evaluate
    assert noria(*shlex.split(evaluate)[1:]) == 0


def test_own_components_are_trusted_by_their_folder_or_by_name_and_no_others(own, noria, tiny, capsys, monkeypatch):
    assert noria(*tiny, "--config-dir", own, "optimizer=mine", "stage.test=false") == 0
    artifact = "artifact=runs/latest/artifact"
    assert noria("stage=evaluate", artifact) == 2
    said = capsys.readouterr().err
    assert "optimizer._target_ = 'own_parts.mine'" in said and "--config-dir <folder>" in said
    assert noria("stage=evaluate", artifact, "--config-dir", own, "--cfg", "job") == 0
    assert noria("stage=evaluate", artifact, "optimizer._target_=own_parts.mine", "--cfg", "job") == 0
    (own / "optimizer/mine.yaml").write_text("_target_: own_parts.other\n")
    assert noria("stage=evaluate", artifact, "--config-dir", own) == 2


@pytest.mark.parametrize(
    "folder", ["runs/a", "a b", "it's/ours", "a=b/c", "c,d", "1e3", "null", "x$HOME", 'say "so"', "back\\", "q\\'", "é"]
)
def test_a_word_survives_the_shell_and_hydra(folder, monkeypatch):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    monkeypatch.setattr(sys, "argv", ["noria"])
    typed = shlex.split(command(word("resume", folder)))[1]
    assert OverridesParser.create().parse_override(typed).value() == folder


def test_what_says_whose_code_is_trusted_is_kept(monkeypatch):
    argv = ["seed=1", "--config-dir", "my conf", "hydra.searchpath=[file://there]", "optimizer._target_=a.b", "-m"]
    assert own_words(argv) == argv[1:5]
    assert own_folders(argv) == [Path("my conf"), Path("there")]
    monkeypatch.setattr(sys, "argv", ["scripts/run.py", *argv])
    said = "python scripts/run.py x=1 --config-dir 'my conf' 'hydra.searchpath=[file://there]' optimizer._target_=a.b"
    assert command("x=1") == said
