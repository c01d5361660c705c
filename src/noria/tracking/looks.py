"""How often a test set has been looked at. A number chosen after many looks is no longer a test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

LEDGER = "test_looks.jsonl"


def look(runs: Path, fingerprint: str, run_dir: Path) -> int:
    """Notes that `run_dir` has looked at the test set of that fingerprint; how many looks that makes.

    The ledger is one file for all runs of a `runs` folder. A lock keeps one run from reading half of what
    another is writing; half a line that a killed run has left counts as a look, if it says at which test set.
    """
    runs.mkdir(parents=True, exist_ok=True)
    line = {"test_set": fingerprint, "run": str(run_dir), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    path = runs / LEDGER
    with FileLock(path.with_suffix(".lock")), path.open("a+", encoding="utf-8") as ledger:
        ledger.seek(0)
        before = ledger.read()
        ledger.write(("" if before.endswith("\n") or not before else "\n") + json.dumps(line) + "\n")
    return 1 + sum(f'"test_set": "{fingerprint}"' in line for line in before.splitlines())
