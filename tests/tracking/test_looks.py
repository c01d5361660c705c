"""Every look at a test set counts, those of concurrent runs too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from noria.tracking.looks import LEDGER, look


def test_each_test_set_has_its_own_count(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert [look(runs, "a", tmp_path / "one"), look(runs, "b", tmp_path / "two"), look(runs, "a", tmp_path)] == [
        1,
        1,
        2,
    ]
    lines = [json.loads(line) for line in (runs / LEDGER).read_text().splitlines()]
    assert [line["test_set"] for line in lines] == ["a", "b", "a"]
    assert lines[0]["run"] == str(tmp_path / "one") and lines[0]["at"].endswith("+00:00")


def test_half_a_line_of_a_killed_run_spoils_nothing(tmp_path: Path) -> None:
    look(tmp_path, "a", tmp_path / "one")
    ledger = tmp_path / LEDGER
    ledger.write_text(ledger.read_text() + '{"test_set": "a", "run": "/so')
    assert look(tmp_path, "a", tmp_path / "two") == 3
    assert look(tmp_path, "b", tmp_path / "three") == 1
    assert json.loads(ledger.read_text().splitlines()[-1])["test_set"] == "b"


def test_two_processes_at_once_lose_none(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from noria.tracking.looks import look\n"
        "for _ in range(100): look(Path(sys.argv[1]), 'x' * 64, Path('run'))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert look(tmp_path, "x" * 64, Path("last")) == 201
