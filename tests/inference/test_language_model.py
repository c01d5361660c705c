from __future__ import annotations

import numpy as np
import pytest
import torch

from noria.artifact.bundle import Artifact
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens
from noria.inference import language_model
from noria.inference.language_model import LanguageModel

TEXTS = [" ".join(["a film"] * (1 + 7 * number % 13)) + f" number {number}" for number in range(23)]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoded(decoder: Artifact) -> EncodedText:
    """Rows of which a part of each counts: from the third character on."""
    spans = [[(2, len(text) - 1)] for text in TEXTS]
    return EncodedText(cached_tokens(decoder.tokenizer, TEXTS, None, None, spans), 0, 64)


@torch.no_grad()
def one_by_one(decoder: Artifact, encoded: EncodedText) -> list[float]:
    """The mean loss of each row's targets, as transformers computes it."""
    losses = []
    for row in range(len(encoded)):
        batch = encoded[[row]]
        losses.append(decoder.network(input_ids=batch["input_ids"], labels=batch["labels"]).loss.item())
    return losses


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_losses_are_those_of_transformers_in_the_order_of_the_rows(
    decoder: Artifact, encoded: EncodedText, batch_size: int
) -> None:
    sums, targets = LanguageModel(decoder, "32-true", CPU).losses(encoded, batch_size)
    assert sums.dtype == torch.float64 and np.array_equal(targets, encoded.targets)
    assert targets.min() > 0 and (targets < torch.from_numpy(encoded.lengths)).all()
    assert (sums / targets).tolist() == pytest.approx(one_by_one(decoder, encoded), abs=1e-5)


def test_a_batch_whose_logits_are_too_large_is_cut(
    decoder: Artifact, encoded: EncodedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LanguageModel(decoder, "32-true", CPU)
    whole, _ = model.losses(encoded, 64)
    sizes: list[int] = []
    hook = decoder.network.register_forward_hook(lambda *args: sizes.append(args[-1].logits.numel()))
    told: list[int] = []
    limit = 3 * int(encoded.lengths.max()) * decoder.network.config.vocab_size
    monkeypatch.setattr(language_model, "MAX_LOGITS", limit)
    cut, _ = model.losses(encoded, 64, told.append)
    hook.remove()
    assert len(sizes) == -(-len(encoded) // 3) and max(sizes) <= limit, "three rows at a time"
    assert told == [len(encoded)]
    torch.testing.assert_close(cut, whole, atol=1e-4, rtol=0)


def test_bf16_is_near(decoder: Artifact, encoded: EncodedText) -> None:
    exact, _ = LanguageModel(decoder, "32-true", CPU).losses(encoded, 8)
    near, _ = LanguageModel(decoder, "bf16-mixed", CPU).losses(encoded, 8)
    assert not torch.equal(near, exact)
    torch.testing.assert_close(near, exact, rtol=0.01, atol=0.1)
