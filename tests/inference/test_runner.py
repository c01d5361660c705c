"""What a network says of examples, whatever the batch, and what is decided from it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.artifacts import losses, scores

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded import Encoded, encode_texts
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens
from noria.task.causal_lm import kind as causal_lm
from noria.task.text_classification.form import TextClassificationForm

TEXTS = [" ".join(["word"] * (1 + 7 * number % 13)) + f" {number}" for number in range(23)]
FILMS = [" ".join(["a film"] * (1 + 7 * number % 13)) + f" number {number}" for number in range(23)]


@pytest.fixture(scope="module")
def texts(artifact: Artifact) -> Encoded:
    return encode_texts(artifact.tokenizer, TEXTS, None, 32)


@pytest.fixture(scope="module")
def windows(decoder: Artifact) -> EncodedText:
    """Rows of which a part of each counts: from the third character on."""
    spans = [[(2, len(text) - 1)] for text in FILMS]
    return EncodedText(cached_tokens(decoder.tokenizer, FILMS, None, None, spans), 0, 64)


def test_scores_are_in_the_order_of_the_rows_whatever_the_batch(artifact: Artifact, texts: Encoded) -> None:
    alone = [scores(artifact, encode_texts(artifact.tokenizer, [text], None, 32), 1) for text in TEXTS]
    for batch_size in (1, 4, 64):
        torch.testing.assert_close(scores(artifact, texts, batch_size), torch.cat(alone), atol=1e-5, rtol=0)


def test_they_are_what_transformers_computes(artifact: Artifact, texts: Encoded) -> None:
    inputs = artifact.tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=32)
    with torch.no_grad():
        expected = artifact.network(**inputs).logits.softmax(-1)
    torch.testing.assert_close(scores(artifact, texts, 8), expected, atol=1e-5, rtol=0)


def test_bf16_is_near(artifact: Artifact, texts: Encoded) -> None:
    exact = scores(artifact, texts, 8)
    near = scores(replace(artifact, network=deepcopy(artifact.network)), texts, 8, "bf16-mixed")
    assert near.dtype == torch.float32 and not torch.equal(near, exact)
    torch.testing.assert_close(near, exact, atol=0.05, rtol=0)


def test_weights_cast_once_give_what_autocast_gives(artifact: Artifact, texts: Encoded) -> None:
    cast, kept = (replace(artifact, network=deepcopy(artifact.network)) for _ in range(2))
    kept.network.classifier.weight.requires_grad_()  # as in training, whose weights stay as they are
    found, wanted = (scores(one, texts, 8, "bf16-mixed") for one in (cast, kept))
    assert torch.equal(found, wanted)
    assert cast.network.classifier.weight.dtype == torch.bfloat16
    assert {weight.dtype for weight in kept.network.parameters()} == {torch.float32}


def test_progress_counts_every_row(artifact: Artifact, texts: Encoded) -> None:
    told: list[int] = []
    scores(artifact, texts, 4, advance=told.append)
    assert sum(told) == len(TEXTS)


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("single_label", [[0.3, 0.7], [0.9, 0.1]], ["good", "bad"]),
        ("multi_label", [[0.51, 0.7], [0.5, 0.1]], [["bad", "good"], []]),
        ("regression", [2.5, -1.0], [2.5, -1.0]),
    ],
)
def test_decisions(kind: str, said: list[object], expected: list[object], texts: Encoded) -> None:
    form = TextClassificationForm(kind, ["bad", "good"])  # type: ignore[arg-type]
    outputs = {"scores": np.array(said, np.float32)}
    assert form.decide(outputs, texts, np.arange(2))["prediction"].to_pylist() == expected
    assert [reply["prediction"] for reply in form.replies(outputs, texts)] == expected


@torch.no_grad()
def one_by_one(decoder: Artifact, encoded: EncodedText) -> list[float]:
    """The mean loss of each row's targets, as transformers computes it."""
    batches = [encoded[[row]] for row in range(len(encoded))]
    return [decoder.network(input_ids=b["input_ids"], labels=b["labels"]).loss.item() for b in batches]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_losses_are_those_of_transformers_in_the_order_of_the_rows(
    decoder: Artifact, windows: EncodedText, batch_size: int
) -> None:
    sums, targets = losses(decoder, windows, batch_size)
    assert sums.dtype == torch.float64 and np.array_equal(targets, windows.targets)
    assert targets.min() > 0 and (targets < torch.from_numpy(windows.lengths)).all()
    assert (sums / targets).tolist() == pytest.approx(one_by_one(decoder, windows), abs=1e-5)


def test_a_batch_whose_logits_are_too_large_is_cut(
    decoder: Artifact, windows: EncodedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = losses(decoder, windows, 64)
    sizes: list[int] = []
    hook = decoder.network.register_forward_hook(lambda *args: sizes.append(args[-1].logits.numel()))
    limit = 3 * int(windows.lengths.max()) * decoder.network.config.vocab_size
    monkeypatch.setattr(causal_lm, "MAX_LOGITS", limit)
    cut, _ = losses(decoder, windows, 64)
    hook.remove()
    assert len(sizes) == -(-len(windows) // 3) and max(sizes) <= limit, "three rows at a time"
    torch.testing.assert_close(cut, whole, atol=1e-4, rtol=0)


def test_losses_in_bf16_are_near(decoder: Artifact, windows: EncodedText) -> None:
    exact, _ = losses(decoder, windows, 8)
    near, _ = losses(decoder, windows, 8, "bf16-mixed")
    assert not torch.equal(near, exact)
    torch.testing.assert_close(near, exact, rtol=0.01, atol=0.1)
