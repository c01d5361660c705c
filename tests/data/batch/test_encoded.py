from __future__ import annotations

import numpy as np
import torch

from noria.data.batch.encoded import Encoded, encode_texts
from noria.data.batch.tokens import tokenise


def test_a_batch_is_padded_as_the_tokenizer_pads(tokenizer):
    texts, pairs = ["one", "two words", "and three words"], ["a longer second text", "b", "c d"]
    rows = encode_texts(tokenizer, texts, pairs, 16)
    batch = rows[[2, 0, 1]]
    expected = tokenizer(
        [texts[i] for i in (2, 0, 1)], [pairs[i] for i in (2, 0, 1)], padding=True, return_tensors="pt"
    )
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        assert torch.equal(batch[name], expected[name]) and batch[name].dtype == torch.int64
    assert batch["index"].tolist() == [2, 0, 1] and "labels" not in batch
    assert rows.lengths.tolist() == [len(tokenizer(t, p)["input_ids"]) for t, p in zip(texts, pairs, strict=True)]


def test_padding_ids_go_where_padding_is(tokenizer):
    rows = Encoded(tokenise(tokenizer, ["a", "b c d"], None, 8), None, pad_id=77, pad_type_id=5)
    batch = rows[[0, 1]]
    assert batch["input_ids"][0].tolist()[3:] == [77, 77] and batch["token_type_ids"][0].tolist()[3:] == [
        5,
        5,
    ]
    assert (batch["attention_mask"].sum(1) == torch.tensor([3, 5])).all()


def test_labels_keep_their_type(tokenizer):
    tokens = tokenise(tokenizer, ["a", "b"], None, 8)
    for labels in (np.array([1, 0]), np.array([[1, 0], [0, 0]], np.float32), np.array([0.5, 2], np.float32)):
        batch = Encoded.of(tokenizer, tokens, labels)[[1, 0]]
        assert torch.equal(batch["labels"], torch.from_numpy(labels[[1, 0]]))


def test_no_rows(tokenizer):
    assert len(encode_texts(tokenizer, [], None, 8)) == 0
