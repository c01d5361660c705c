"""The names of padding and of the end of a row, where a text has them: read as text, whatever tokenizes it."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from noria.data.batch.encoded import encode_texts
from noria.data.batch.tokens import tokenise

TEXTS = ["ab </s> ba", "<pad>", "ab", "</s></s> <pad> ba", "ab <mask>"]
PAD, UNKNOWN, END, MASK = range(4)


def made(kind: str) -> PreTrainedTokenizerFast:
    named = ["<pad>", "<unk>", "</s>", "<mask>"]
    letters = ["▁", *"abmskpdu<>/"]
    if kind == "pieces":  # as SentencePiece: the names are pieces of the vocabulary themselves
        pieces = [(name, 0.0) for name in named] + [(letter, -2.0) for letter in letters]
        tokenizer = Tokenizer(models.Unigram(pieces, unk_id=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            special_tokens=named, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        )
        tokenizer.train_from_iterator(["ab ba"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", END)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", mask_token="<mask>"
    )


@pytest.mark.parametrize("kind", ["letters", "pieces"])
def test_a_row_has_one_end_and_no_padding(kind: str) -> None:
    tokens = tokenise(made(kind), TEXTS, None, 64)
    for row in range(len(TEXTS)):
        ids = tokens.ids(row).tolist()
        assert ids.count(END) == 1 and ids[-1] == END and PAD not in ids
        assert len(ids) == tokens.lengths[row] > 1
    assert tokens.plain == 3
    assert MASK in tokens.ids(4)  # it is made for texts
    if kind == "letters":
        assert made(kind).convert_ids_to_tokens(tokens.ids(0))[2:6] == ["<", "/", "s", ">"]


def test_pairs_and_texts_that_are_cut() -> None:
    tokens = tokenise(made("letters"), TEXTS, TEXTS[::-1], 8)
    for row in range(len(TEXTS)):
        ids = tokens.ids(row).tolist()
        assert ids.count(END) == 2 and ids[-1] == END and PAD not in ids and len(ids) <= 8
    assert tokens.truncated == 4 and tokens.plain == 4


def test_other_texts_are_tokenised_as_ever() -> None:
    tokenizer: Any = made("letters")
    rows = ["ab", "", "ba < / s >", "ab <mask>"]
    tokens = tokenise(tokenizer, rows, None, 64)
    assert [tokens.ids(row).tolist() for row in range(4)] == tokenizer(rows)["input_ids"] and tokens.plain == 0
    assert encode_texts(tokenizer, rows, None, 64).tokens.plain == 0


def test_where_the_padding_is_what_unknown_words_are_it_stays_one() -> None:
    tokenizer = made("pieces")
    tokenizer.pad_token = "<unk>"
    tokens = tokenise(tokenizer, ["ab xyz", "ab </s>"], None, 64)
    assert UNKNOWN in tokens.ids(0) and tokens.ids(1).tolist().count(END) == 1 and tokens.plain == 1
