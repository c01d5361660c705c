"""The proof of the comparison's statistics, in its shortest form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROOF = Path(__file__).resolve().parents[2] / "scripts/prove/comparisons.py"


def test_what_a_comparison_says_is_true_as_often_as_it_claims() -> None:
    done = subprocess.run([sys.executable, PROOF, "--simulations", "200"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    lines = [line for line in done.stdout.splitlines() if line.endswith("| yes |")]
    for kind in ("no difference", "power", "coverage"):
        assert sum(line.startswith(f"| {kind} |") for line in lines) >= 6
