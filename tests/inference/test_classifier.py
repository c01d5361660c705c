from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded import encode_texts
from noria.inference.classifier import Classifier

TEXTS = [" ".join(["word"] * (1 + 7 * number % 13)) + f" {number}" for number in range(23)]
CPU = torch.device("cpu")


def test_logits_are_in_the_order_of_the_rows_whatever_the_batch(artifact: Artifact) -> None:
    classifier = Classifier(artifact, "32-true", CPU)
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    one_by_one = torch.cat([classifier.logits(encode_texts(artifact.tokenizer, [text], None, 32), 1) for text in TEXTS])
    for batch_size in (1, 4, 64):
        torch.testing.assert_close(classifier.logits(encoded, batch_size), one_by_one, atol=1e-5, rtol=0)


def test_it_is_what_transformers_computes(artifact: Artifact) -> None:
    inputs = artifact.tokenizer(TEXTS, return_tensors="pt", padding=True, truncation=True, max_length=32)
    with torch.no_grad():
        expected = artifact.network(**inputs).logits
    classifier = Classifier(artifact, "32-true", CPU)
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    torch.testing.assert_close(classifier.logits(encoded, 8), expected, atol=1e-5, rtol=0)


def test_bf16_is_near(artifact: Artifact) -> None:
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    exact = Classifier(artifact, "32-true", CPU).logits(encoded, 8)
    near = Classifier(replace(artifact, network=deepcopy(artifact.network)), "bf16-mixed", CPU).logits(encoded, 8)
    assert near.dtype == torch.float32
    assert not torch.equal(near, exact)
    torch.testing.assert_close(near, exact, atol=0.05, rtol=0)


def test_weights_cast_once_give_what_autocast_gives(artifact: Artifact) -> None:
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    cast, kept = (replace(artifact, network=deepcopy(artifact.network)) for _ in range(2))
    kept.network.classifier.weight.requires_grad_()  # as in training, whose weights stay as they are
    found, wanted = (Classifier(one, "bf16-mixed", CPU).logits(encoded, 8) for one in (cast, kept))
    assert torch.equal(found, wanted)
    assert cast.network.classifier.weight.dtype == torch.bfloat16
    assert {weight.dtype for weight in kept.network.parameters()} == {torch.float32}


def test_progress_counts_every_row(artifact: Artifact) -> None:
    told: list[int] = []
    encoded = encode_texts(artifact.tokenizer, TEXTS, None, 32)
    Classifier(artifact, "32-true", CPU).logits(encoded, 4, told.append)
    assert sum(told) == len(TEXTS)


@pytest.mark.parametrize(
    ("kind", "scores", "expected"),
    [
        ("single_label", [[0.3, 0.7], [0.9, 0.1]], ["good", "bad"]),
        ("multi_label", [[0.5, 0.7], [0.4, 0.1]], [["bad", "good"], []]),
        ("regression", [2.5, -1.0], [2.5, -1.0]),
    ],
)
def test_decisions(artifact: Artifact, kind: str, scores: list[object], expected: list[object]) -> None:
    facts = {**artifact.facts, "kind": kind}
    classifier = Classifier(Artifact(artifact.folder, facts, artifact.network, artifact.tokenizer), "32-true", CPU)
    assert classifier.decide(torch.tensor(scores)) == expected
