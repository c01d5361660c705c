from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import cross_entropy
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens
from noria.data.module import DataModule
from noria.data.rows.rows import Rows
from noria.data.source.plain_text import PlainText, passages
from noria.data.source.table import TableData
from noria.inference.evaluation import Evaluation
from noria.inference.runner import Runner
from noria.metric.accuracy import Accuracy
from noria.metric.f1 import F1
from noria.metric.perplexity import Perplexity
from noria.task.causal_lm.form import CausalLMForm


@pytest.fixture(scope="module")
def measured(artifact: Artifact, reviews: Path) -> tuple[Evaluation, TableData]:
    data = TableData(path=str(reviews), max_length=32).bind(artifact.form, artifact.tokenizer)
    data.setup()
    runner = Runner(artifact, "32-true", torch.device("cpu"))
    return runner.measure(data, "train", {"accuracy": Accuracy(), "f1": F1()}, 16), data


def test_one_row_an_example_with_its_truth(measured: tuple[Evaluation, TableData]) -> None:
    evaluation, data = measured
    rows = evaluation.predictions
    assert rows.column_names == ["id", "key", "split", "label", "prediction", "probabilities", "loss"]
    assert rows["id"].to_pylist() == data.splits["train"].ids
    assert rows["label"].to_pylist() == data.splits["train"].table["label"].to_pylist()
    assert set(rows["split"].to_pylist()) == {"train"}


def test_estimates_are_those_of_the_predictions(measured: tuple[Evaluation, TableData]) -> None:
    evaluation, _ = measured
    rows = evaluation.predictions
    names = ["bad", "good"]
    truth = torch.tensor([names.index(label) for label in rows["label"].to_pylist()])
    shares = torch.tensor(np.stack(rows["probabilities"].to_pylist()))
    assert [names[i] for i in shares.argmax(-1)] == rows["prediction"].to_pylist()
    accuracy = multiclass_accuracy(shares, truth, 2, average="micro").item()
    assert evaluation.estimates["accuracy"].value == pytest.approx(accuracy)
    assert evaluation.estimates["f1"].value == pytest.approx(multiclass_f1_score(shares, truth, 2).item())
    losses = cross_entropy(shares.log(), truth, reduction="none")
    assert np.allclose(rows["loss"].to_pylist(), losses, atol=1e-5)
    assert evaluation.estimates["loss"].value == pytest.approx(losses.mean().item(), abs=1e-5)
    for estimate in evaluation.estimates.values():
        assert estimate.low <= estimate.value <= estimate.high and estimate.n == len(truth)


class Windows(CausalLMForm):
    """Texts as they are, each cut into windows of 16 tokens."""

    def encode(self, rows: Rows, tokenizer: Any, *given: Any) -> EncodedText:
        return EncodedText(cached_tokens(tokenizer, rows.texts, None, None), 0, 16)


def test_a_language_model_is_measured_by_the_token(decoder: Artifact) -> None:
    data = DataModule().bind(Windows(), decoder.tokenizer)
    data.report = {"truncated": {}, "dropped": {}}
    texts = ["great fun", "a dreadful film and a bore " * 3, "superb acting"]
    data.splits = {"test": Rows(pa.table({"id": ["a:1", "a:2", "a:3"], "text": texts}), "a")}
    told: list[int] = []
    runner = Runner(decoder, "32-true", torch.device("cpu"))
    measured = runner.measure(data, "test", {"perplexity": Perplexity()}, 2, told.append)

    rows = measured.predictions
    assert rows.column_names == ["id", "key", "split", "loss", "tokens"] and set(rows["split"].to_pylist()) == {"test"}
    pieces = len(rows) - 2
    assert pieces > 1
    assert rows["id"].to_pylist() == ["a:1", *(f"a:2#{k}" for k in range(1, pieces + 1)), "a:3"]
    assert sum(told) == len(rows)
    losses, tokens = (np.array(rows[name].to_pylist()) for name in ("loss", "tokens"))
    assert tokens.sum() == sum(len(decoder.tokenizer(text)["input_ids"]) for text in texts) - len(rows)
    ids = torch.tensor([decoder.tokenizer(texts[0])["input_ids"]])
    with torch.no_grad():
        assert losses[0] == pytest.approx(decoder.network(input_ids=ids, labels=ids).loss.item(), abs=1e-5)

    loss, perplexity = measured.estimates["loss"], measured.estimates["perplexity"]
    assert loss.value == pytest.approx((losses * tokens).sum() / tokens.sum())
    assert loss.low < loss.value < loss.high and loss.n == len(rows)
    for end in ("value", "low", "high"):  # the same resamples
        assert getattr(perplexity, end) == pytest.approx(np.exp(getattr(loss, end)), rel=1e-3)


TEXT = "A dreadful film, caf\u00e9 \u2713 and a bore.\n\nIt was moving and funny, superb acting; " * 9


def measured_text(decoder: Artifact, folder: Path, text: str = TEXT, **keys: object) -> Evaluation:
    (folder / "train.txt").write_text("something else\n")
    (folder / "test.txt").write_text(text)
    paths = {"path": str(folder / "train.txt"), "test_path": str(folder / "test.txt")}
    data = PlainText(**paths, val_fraction=0, **keys).bind(CausalLMForm(), decoder.tokenizer)  # type: ignore[arg-type]
    data.setup()
    return Runner(decoder, "32-true", torch.device("cpu")).measure(data, "test", {"perplexity": Perplexity()}, 2)


@torch.no_grad()
def in_one_go(decoder: Artifact, text: str) -> tuple[float, int]:
    """The summed loss (nats) of all tokens of a text but the first, and their number."""
    ids = torch.tensor([decoder.tokenizer(text, add_special_tokens=False)["input_ids"]])
    loss = decoder.network(input_ids=ids, labels=ids).loss.item()
    return loss * (ids.shape[1] - 1), ids.shape[1] - 1


def test_bits_per_byte_and_perplexity_per_word_are_those_of_the_text(decoder: Artifact, tmp_path: Path) -> None:
    """As lm-evaluation-harness divides: by the bytes and the words of the raw text, the end of the text left out."""
    text = TEXT[:300].strip()
    found = measured_text(decoder, tmp_path, text, max_length=256)
    nats, tokens = in_one_go(decoder, text)
    first = decoder.tokenizer.decode(decoder.tokenizer(text)["input_ids"][:1])
    sizes = len(text.encode()) - len(first.encode())  # what nothing stands before is not measured
    bits, per_word = found.estimates["bits_per_byte"], found.estimates["word_perplexity"]
    assert bits.value == pytest.approx(nats / math.log(2) / sizes, rel=1e-5) and bits.unit == "bits per byte"
    assert per_word.value == pytest.approx(math.exp(nats / (len(text.split()) - 1)), rel=1e-5)
    assert found.estimates["perplexity"].unit == "per token" and per_word.unit == "per word"
    rows = found.predictions
    assert rows["tokens"].to_pylist() == [tokens + 1] and rows["bytes"].to_pylist() == [sizes]
    assert rows["text_loss"].to_pylist() == [pytest.approx(nats, rel=1e-5)], "the end of the text is a target, no text"
    assert rows["loss"][0].as_py() * (tokens + 1) > nats


def test_units_have_intervals_over_the_same_rows(decoder: Artifact, tmp_path: Path) -> None:
    found = measured_text(decoder, tmp_path, max_length=64)
    for name in ("bits_per_byte", "word_perplexity"):
        estimate = found.estimates[name]
        assert estimate.low < estimate.value < estimate.high and estimate.n == len(found.predictions)
    per_byte = np.array(found.predictions["text_loss"]) @ np.ones(len(found.predictions)) / math.log(2)
    assert found.estimates["bits_per_byte"].value == pytest.approx(
        per_byte / np.array(found.predictions["bytes"]).sum()
    )


@torch.no_grad()
def by_the_guide(decoder: Artifact, text: str, length: int, stride: int) -> tuple[float, int]:
    """The loop of transformers' guide to perplexity: the summed loss and the number of tokens."""
    ids = torch.tensor([decoder.tokenizer(text, add_special_tokens=False)["input_ids"]])
    total, count, before = 0.0, 0, 0
    for begin in range(0, ids.shape[1], stride):
        end = min(begin + length, ids.shape[1])
        targets = ids[:, begin:end].clone()
        targets[:, : -(end - before)] = -100
        scored = int((targets[:, 1:] != -100).sum())
        total += decoder.network(input_ids=ids[:, begin:end], labels=targets).loss.item() * scored
        count, before = count + scored, end
        if end == ids.shape[1]:
            break
    return total, count


@pytest.mark.parametrize("stride", [16, 24, 64])
def test_a_stride_measures_as_transformers_guide_does(decoder: Artifact, tmp_path: Path, stride: int) -> None:
    assert len(TEXT.strip()) < 4000, "one passage"
    found = measured_text(decoder, tmp_path, max_length=64, stride=stride)
    total, count = by_the_guide(decoder, TEXT.strip() + decoder.tokenizer.eos_token, 64, stride)
    rows = found.predictions
    tokens = np.array(rows["tokens"])
    if stride < 64:  # else each window's first token is measured in no window, in the guide too
        assert tokens.sum() == count == len(decoder.tokenizer(TEXT.strip())["input_ids"])
    assert np.array(rows["loss"]) @ tokens == pytest.approx(total, rel=1e-5)


def test_a_stride_sees_the_passage_before(decoder: Artifact, tmp_path: Path) -> None:
    """A document of several passages is measured as one text, but for where the last windows of a passage begin."""
    text = (TEXT.strip() + "\n\n") * 8
    found, alone = (measured_text(decoder, tmp_path, text, max_length=64, **keys) for keys in ({"stride": 16}, {}))
    assert found.predictions["id"].to_pylist() == [f"test.txt:{n + 1}" for n in range(len(found.predictions))]
    tokens = np.array(found.predictions["tokens"])
    assert len(tokens) > 1 and found.estimates["bits_per_byte"].n == len(tokens), "windows overlap, passages do not"
    lengths = [len(decoder.tokenizer(passage)["input_ids"]) for passage in passages(text)]
    assert tokens.tolist() == [lengths[0] - 1, *lengths[1:-1], lengths[-1] + 1], "all but the very first, and the end"
    assert len(alone.predictions) > len(tokens) and np.array(alone.predictions["tokens"]).sum() < tokens.sum()
