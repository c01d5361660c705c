"""What a run ran on: facts that JSON can hold, and the commit of the folder one works in."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest
import torch

from noria.tracking.environment import code, hardware, versions


def test_versions() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__ and found["noria"] and found["transformers"]


def test_hardware() -> None:
    found = hardware()
    assert json.loads(json.dumps(found)) == found
    assert found["threads"] == torch.get_num_threads() and len(found["gpus"]) == torch.cuda.device_count()
    assert found["memory_gib"] > 0.1 and found["cpu"] and found["machine"]


def test_the_commit_and_whether_it_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert code() == {}, "no repository"

    def git(*words: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@y.z"]
        return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert code() == {}, "no commit yet"
    (folder / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    assert code() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (folder / "file").write_text("two")
    assert code()["dirty"] is True


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code() == {}
