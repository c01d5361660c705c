"""Bytes and words of tokens add up to those of the text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from noria.data.batch.sizes import sizes
from noria.data.batch.tokens import cached_tokens

TEXTS = [
    "a plain line of words", " leading and trailing \n\n", "caf\u00e9 \u2713 \U0001f600\u00df",
    "two\n\nparts\t and  tabs",
    "w", "\u6c34\u6c34 \u6c34", "   ",
]  # fmt: skip


@pytest.fixture(params=["bytes", "wordpiece"])
def tokenizer(request, tiny_decoder: Path, tiny_model: Path):
    return AutoTokenizer.from_pretrained(tiny_decoder if request.param == "bytes" else tiny_model)


@pytest.mark.parametrize("text", TEXTS)
def test_all_of_a_text_is_counted_once(tokenizer, text):
    made = tokenizer(text, add_special_tokens=False)
    if not made["input_ids"]:
        return
    encoding = made.encodings[0]
    found, words = sizes(text, encoding.ids, encoding.offsets, ())
    assert found.sum() == len(text.encode()) and (found >= 0).all()
    assert words.sum() == len(text.split()), "as lm-evaluation-harness counts them, but for white space at the ends"
    if text.strip() == text:
        assert words.sum() == len(re.split(r"\s+", text))


def test_what_is_no_text_counts_nowhere(tiny_decoder: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_decoder)
    text = "<|im_start|>user\nHi there<|im_end|>"
    tokens = cached_tokens(tokenizer, [text], None, None, special=False, sized=True)
    special = tokens.bytes(0) < 0
    assert special.sum() == 2 and tokens.bytes(0)[~special].sum() == len("user\nHi there")
    assert tokens.words(0).sum() == 3 and tokens.words(0)[special].sum() == 0


def test_a_word_begins_where_an_answer_does(tiny_decoder: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_decoder)
    text, spans = "Bot:great fun<|im_end|>User:hm", [(4, 23)]
    tokens = cached_tokens(tokenizer, [text], None, None, spans=[spans], special=False, sized=True)
    inside = tokens.targets(0) > 0
    assert tokens.words(0)[inside].sum() == 2
    assert tokens.bytes(0)[inside & (tokens.bytes(0) > 0)].sum() == len("great fun")


def test_tokens_without_sizes_are_cached_apart(tiny_decoder: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_decoder)
    plain = cached_tokens(tokenizer, ["great fun"], None, None)
    sized = cached_tokens(tokenizer, ["great fun"], None, None, sized=True)
    assert sized.has_sizes and not plain.has_sizes
    assert cached_tokens(tokenizer, ["great fun"], None, None, sized=True).bytes(0).sum() == len("great fun")
