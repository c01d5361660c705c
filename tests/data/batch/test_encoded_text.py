from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import Tokens

PAD = 99


def tokens(rows: list[list[int]], targets: list[list[int]] | None = None) -> Tokens:
    columns = {"input_ids": pa.array(rows, pa.list_(pa.int32()))}
    columns["truncated"] = pa.array([False] * len(rows), pa.bool_())
    if targets is not None:
        columns["targets"] = pa.array(targets, pa.list_(pa.int8()))
    return Tokens([pa.RecordBatch.from_pydict(columns)])


def test_a_batch_is_padded_at_the_right_and_asks_for_the_marked_tokens():
    made = EncodedText(tokens([[1, 2, 3, 4], [5, 6]], [[0, 0, 1, 1], [1, 1]]), PAD, None)
    batch = made[[1, 0]]
    assert batch["input_ids"].tolist() == [[5, 6, PAD, PAD], [1, 2, 3, 4]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist() == [[-100, 6, -100, -100], [-100, -100, 3, 4]], "a first token was a target"
    assert batch["index"].tolist() == [1, 0]
    assert all(tensor.dtype == torch.int64 for tensor in batch.values())
    assert made.targets.tolist() == [2, 1] and made.targets.dtype == np.int64
    assert made.lengths.tolist() == [4, 2] and made.lengths.dtype == np.int32


def test_a_filler_has_no_target():
    made = EncodedText(tokens([[1, 2, 3], [5, 6]]), PAD, None)
    batch = made[[-2, 0]]
    assert batch["index"].tolist() == [-1, 0]
    assert batch["input_ids"].tolist() == [[5, 6, PAD], [1, 2, 3]]
    assert batch["labels"].tolist() == [[-100] * 3, [-100, 2, 3]]


def test_windows_lose_no_token():
    rows = [[*range(10, 17)], [*range(20, 23)], [*range(30, 34)]]
    made = EncodedText(tokens(rows), PAD, 3)
    assert made.row.tolist() == [0, 0, 1, 2] and made.row.dtype == np.int64
    assert [made[[i]]["input_ids"][0].tolist() for i in range(4)] == [
        [10, 11, 12],
        [13, 14, 15],
        [20, 21, 22],
        [30, 31, 32],
    ]
    assert made.targets.tolist() == [2, 2, 2, 2]
    assert sum(made.left_out.values()) == 2, "the windows [16] and [33] have no target"


def test_a_leading_token_makes_every_other_a_target():
    made = EncodedText(tokens([[*range(10, 15)], [20]]), PAD, 3, lead=7)
    batch = made[[0, 1, 2, 3]]
    assert batch["input_ids"].tolist() == [[7, 10, 11], [7, 12, 13], [7, 14, PAD], [7, 20, PAD]]
    assert batch["labels"].tolist() == [[-100, 10, 11], [-100, 12, 13], [-100, 14, -100], [-100, 20, -100]]
    assert made.targets.tolist() == [2, 2, 1, 1] and made.lengths.tolist() == [3, 3, 2, 2] and made.left_out == {}


def test_only_the_first_window():
    marks = [[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1], []]
    made = EncodedText(tokens([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], []], marks), PAD, 3, first=True)
    assert made.row.tolist() == [0, 2] and sum(made.left_out.values()) == 2 and len(made) == 2
    assert made.truncated == 2
    assert made[[0, 1]]["labels"].tolist() == [[-100, -100, 3], [-100, 10, 11]]


def test_windows_are_not_marked_by_another_s_targets():
    made = EncodedText(tokens([[1, 2, 3, 4]], [[0, 1, 0, 1]]), PAD, 2)
    assert made[[0, 1]]["labels"].tolist() == [[-100, 2], [-100, 4]]
    assert made[[0]]["labels"].tolist() == [[-100, 2]], "a batch changed the tokens"


@pytest.mark.parametrize("rows", [[], [[]], [[1]]])
def test_no_targets_at_all(rows):
    made = EncodedText(tokens(rows), PAD, 4)
    assert len(made) == 0 and sum(made.left_out.values()) == len(rows) and made.truncated == 0
    assert made.row.shape == made.targets.shape == made.lengths.shape == (0,)


def scored(made: EncodedText) -> list[tuple[list[int], list[int]]]:
    """Of each window its tokens, and those of them that are targets."""
    batches = [made[[window]] for window in range(len(made))]
    return [(b["input_ids"][0].tolist(), [i for i in b["labels"][0].tolist() if i != -100]) for b in batches]


def test_with_a_stride_each_token_is_a_target_once_with_what_stands_before_it():
    made = EncodedText(tokens([[*range(10, 20)], [30, 31]]), PAD, 4, stride=2)
    assert scored(made) == [
        ([10, 11, 12, 13], [11, 12, 13]),
        ([12, 13, 14, 15], [14, 15]),
        ([14, 15, 16, 17], [16, 17]),
        ([16, 17, 18, 19], [18, 19]),
        ([30, 31], [31]),
    ]
    assert made.row.tolist() == [0, 0, 0, 0, 1] and made.lengths.tolist() == [4, 4, 4, 4, 2] and made.truncated == 0


def test_a_row_that_follows_another_has_its_end_before_it():
    made = EncodedText(
        tokens([[10, 11, 12], [20], [21, 22, 23], [30]]), PAD, 5, stride=2, follows=np.array([False, True, True, False])
    )
    assert scored(made) == [
        ([10, 11, 12], [11, 12]),
        ([10, 11, 12, 20], [20]),
        ([11, 12, 20, 21, 22], [21, 22]),
        ([20, 21, 22, 23], [23]),
    ]
    assert made.left_out == {"no_target": 1}
    led = EncodedText(tokens([[10, 11, 12, 13, 14]]), PAD, 4, lead=7, stride=2)
    assert scored(led) == [([7, 10, 11, 12], [10, 11, 12]), ([7, 12, 13, 14], [13, 14])]


def test_a_stride_of_a_whole_window_changes_nothing():
    rows = [[*range(10, 17)], [*range(20, 23)]]
    assert scored(EncodedText(tokens(rows), PAD, 3, stride=3)) == scored(EncodedText(tokens(rows), PAD, 3))
    assert scored(EncodedText(tokens(rows), PAD, 3, stride=9)) == scored(EncodedText(tokens(rows), PAD, 3))
