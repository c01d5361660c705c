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
    said = proved("ranks.py", "--tasks", "causal_lm", "--ways", "1x4", "2x1")
    assert said.count("| causal_lm |") == 2 and "largest difference" in said


@pytest.mark.parametrize(("task", "ranks", "seed"), [("causal_lm", "1", "2"), ("text_classification", "2", "1")])
def test_a_killed_run_ends_as_one_that_was_left_alone(task: str, ranks: str, seed: str) -> None:
    said = proved("kills.py", "--tasks", task, "--ranks", ranks, "--kills", "1", "--seed", seed)
    assert "bit for bit" in said
