"""Sources and targets in batches: padding, targets that were cut, fillers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from transformers import PreTrainedTokenizerBase

from noria.data.batch.encoded_pairs import EncodedPairs
from noria.data.batch.tokens import tokenise
from noria.model.vocabulary import Vocabulary

SOURCES = ["two dogs run", "a", "cats sleep here and there and here"]
TARGETS = ["zwei Hunde", "eine Katze schläft hier und dort und hier", "b"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return Vocabulary(size=330).trained(SOURCES + TARGETS)


def encoded(tokenizer: PreTrainedTokenizerBase, limit: int = 64) -> EncodedPairs:
    sources, targets = (tokenise(tokenizer, texts, None, limit) for texts in (SOURCES, TARGETS))
    references = pa.chunked_array([pa.array([[text] for text in TARGETS])])
    return EncodedPairs(sources, targets, int(tokenizer.pad_token_id), [int(tokenizer.eos_token_id)], references)


def test_both_sides_are_padded_on_their_own(tokenizer: PreTrainedTokenizerBase) -> None:
    pairs = encoded(tokenizer)
    batch = pairs.batch([0, 1, 2])
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        own, true = tokenizer(source)["input_ids"], tokenizer(target)["input_ids"]
        assert batch["input_ids"][row][batch["attention_mask"][row] > 0].tolist() == own
        assert batch["labels"][row][batch["labels"][row] >= 0].tolist() == true
        assert pairs.lengths[row] == max(len(own), len(true)) and pairs.targets[row] == len(true)
    assert (batch["input_ids"][batch["attention_mask"] == 0] == tokenizer.pad_token_id).all()
    here = batch["input_ids"][batch["attention_mask"] > 0]
    assert pairs.truncated == 0 and pairs.highest == max(here.max(), batch["labels"].max())


def test_a_target_that_was_cut_has_no_end(tokenizer: PreTrainedTokenizerBase) -> None:
    pairs = encoded(tokenizer, 5)
    assert pairs.truncated == 2  # a source, and the target of another row
    labels = pairs.batch([0, 1, 2])["labels"]
    end = tokenizer.eos_token_id
    assert end in labels[0] and end in labels[2] and end not in labels[1]
    assert pairs.targets.tolist() == [(row >= 0).sum() for row in labels]


def test_a_filler_teaches_nothing(tokenizer: PreTrainedTokenizerBase) -> None:
    batch = encoded(tokenizer).batch([-1])
    assert batch["index"].tolist() == [-1] and (batch["labels"] == -100).all()


def test_sources_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    pairs = EncodedPairs(tokenise(tokenizer, SOURCES, None, 64), None, 0)
    assert "labels" not in pairs.batch([0]) and np.array_equal(pairs.lengths, pairs.tokens.lengths)
