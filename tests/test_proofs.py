"""The long proofs of `make prove`, each in its shortest form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROVE = Path(__file__).resolve().parents[1] / "scripts/prove"


def proved(script: str, *words: str) -> str:
    done = subprocess.run([sys.executable, PROVE / script, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_numbers_do_not_depend_on_how_a_run_is_executed() -> None:
    said = proved("ranks.py", "--tasks", "causal_lm", "--ways", "autox1x4", "ddpx2x1", "fsdpx2x1")
    assert said.count("| causal_lm |") == 3 and "largest difference" in said


@pytest.mark.parametrize(("task", "way", "seed"), [("causal_lm", "one", "2"), ("text_classification", "ddp", "1")])
def test_a_killed_run_ends_as_one_that_was_left_alone(task: str, way: str, seed: str) -> None:
    said = proved("kills.py", "--tasks", task, "--ways", way, "--kills", "1", "--seed", seed)
    assert "bit for bit" in said
