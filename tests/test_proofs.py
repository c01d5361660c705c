"""The long proofs of `make prove`, each in its shortest form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROVE = Path(__file__).resolve().parents[1] / "scripts/prove"


def proved(script: str, *words: str) -> str:
    done = subprocess.run([sys.executable, PROVE / script, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_numbers_do_not_depend_on_how_a_run_is_executed() -> None:
    said = proved("ranks.py", "--tasks", "causal_lm", "--ways", "ddpx2x4")
    assert said.count("| causal_lm |") == 1 and "largest difference" in said


def test_a_killed_run_of_two_ranks_ends_as_one_that_was_left_alone() -> None:
    """On one device: tests/cli/test_resume.py and tests/cli/test_disk.py."""
    said = proved("kills.py", "--tasks", "causal_lm", "--ways", "ddp", "--kills", "1", "--seed", "1")
    assert "bit for bit" in said


def test_a_sweep_survives_its_trials() -> None:
    said = proved("sweeps.py", "--trials", "6", "--parts", "faults")
    assert "ran hang, kill, raise and nothing else: 6 done" in said


def test_a_sweep_that_was_killed_goes_on() -> None:
    said = proved("sweeps.py", "--trials", "5", "--parts", "killed")
    assert "the same command again: 5 done, each once" in said


def test_two_shells_share_a_sweep() -> None:
    assert "4 trials done, each once" in proved("sweeps.py", "--trials", "4", "--parts", "shared")


def test_a_turn_that_is_killed_leaves_the_registry_whole() -> None:
    said = proved("turns.py", "--kills", "2", "--seed", "1")
    assert said.count("| yes |") == 3 and "| left alone | ended |" in said


def test_what_a_server_has_acknowledged_outlives_it_and_a_new_champion_fails_no_request() -> None:
    said = proved("serving.py", "--kills", "1", "--swaps", "1", "--clients", "8", "--parts", "sqlite", "swaps")
    assert "2 of 2 parts hold" in said
