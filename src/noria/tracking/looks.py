"""How often a test set has been looked at. A number chosen after many looks is no longer a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

LEDGER = "test_looks.jsonl"


def look(runs: Path, fingerprint: str, run_dir: Path) -> int:
    """Notes that `run_dir` has looked at the test set of that fingerprint; how many looks that makes.

    The ledger is one file for all runs of a `runs` folder; a line is appended in one write, so that
    concurrent runs all count.
    """
    runs.mkdir(parents=True, exist_ok=True)
    line = {"test_set": fingerprint, "run": str(run_dir), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    with (runs / LEDGER).open("a", encoding="utf-8") as ledger:
        ledger.write(json.dumps(line) + "\n")
    lines = (runs / LEDGER).read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["test_set"] == fingerprint for line in lines if line.strip())
