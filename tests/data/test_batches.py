from __future__ import annotations

import numpy as np
import pytest

from noria.data.batches import LengthGroupedBatches, batch_count, epoch_batches

LENGTHS = np.random.default_rng(0).geometric(0.05, 3001).astype(np.int32) + 2


def padding(batches: list[np.ndarray]) -> float:
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    return 1 - LENGTHS.sum() / padded


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_row_once(shuffle):
    batches = epoch_batches(LENGTHS, 16, 1, 0, shuffle)
    assert len(batches) == batch_count(3001, 16, 1) == 188
    assert sorted(np.concatenate(batches).tolist()) == list(range(3001))
    assert sorted(len(batch) for batch in batches)[:2] == [9, 16]


def test_only_seed_and_epoch_decide_the_order():
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(LENGTHS, 16, seed, epoch, True)).tolist()

    first = order(1, 0)
    np.random.seed(5)
    assert order(1, 0) == first
    assert order(1, 1) != first and order(2, 0) != first and order(0, 1) != order(1, 0)


def test_padding_is_saved_and_batches_differ_between_epochs():
    rows = np.random.default_rng(1).permutation(3001)
    blind = padding([rows[start : start + 16] for start in range(0, 3001, 16)])
    grouped = padding(epoch_batches(LENGTHS, 16, 1, 0, True))
    assert blind > 0.5 and grouped < 0.15
    one, two = ({tuple(sorted(b)) for b in epoch_batches(LENGTHS, 16, 1, e, True)} for e in (0, 1))
    assert len(one & two) < 5
    # long batches do not stand together
    means = [LENGTHS[batch].mean() for batch in epoch_batches(LENGTHS, 16, 1, 0, True)]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


def test_evaluation_begins_with_the_longest():
    flat = np.concatenate(epoch_batches(LENGTHS, 16, 1, 3, False))
    assert (np.diff(LENGTHS[flat].astype(int)) <= 0).all()


@pytest.mark.parametrize("rows", [1, 3, 100, 129, 130])
@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_ranks_in_training_make_the_same_steps(rows, world, accumulate):
    ranks = [LengthGroupedBatches(LENGTHS[:rows], 8, 1, True, rank, world, accumulate) for rank in range(world)]
    seen = [list(rank) for rank in ranks]
    assert {len(batches) for batches in seen} == {len(ranks[0])} == {batch_count(rows, 8, world, accumulate)}
    assert len(ranks[0]) % accumulate == 0
    assert all(1 <= len(batch) <= 8 for batches in seen for batch in batches)
    flat = [row for batches in seen for batch in batches for row in batch]
    assert sorted(row for row in flat if row >= 0) == list(range(rows))
    fillers = [batch for batches in seen for batch in batches if min(batch) < 0]
    assert len(fillers) < world * accumulate
    assert all(len(batch) == 1 and 0 <= -1 - batch[0] < rows for batch in fillers)


def test_a_step_has_the_same_rows_however_it_is_executed():
    def steps(batch_size: int, world: int, accumulate: int) -> list[list[int]]:
        ranks = [
            list(LengthGroupedBatches(LENGTHS[:130], batch_size, 1, True, rank, world, accumulate))
            for rank in range(world)
        ]
        batches = [[row for rank in ranks for row in rank[place] if row >= 0] for place in range(len(ranks[0]))]
        starts = range(0, len(batches), accumulate)
        return [sorted(row for batch in batches[at : at + accumulate] for row in batch) for at in starts]

    one = steps(24, 1, 1)
    assert [len(step) for step in one].count(24) == 5 and len(one) == 6
    assert one == steps(12, 2, 1) == steps(6, 1, 4) == steps(6, 2, 2) == steps(6, 4, 1) == steps(2, 3, 4)


@pytest.mark.parametrize("world", [1, 2])
def test_the_weight_of_a_step_is_that_of_its_rows_on_all_ranks(world):
    weights = np.random.default_rng(2).random(130)
    ranks = [LengthGroupedBatches(LENGTHS[:130], 4, 1, True, rank, world, 3) for rank in range(world)]
    batches = len(ranks[0])
    seen = [list(rank) for rank in ranks]
    for used in (batches, batches - 1):
        for rank in ranks:
            whole = rank.step_weights(weights, used)
            for start in range(0, batches, 3):
                rows = [r for each in seen for batch in each[start : min(start + 3, used)] for r in batch if r >= 0]
                assert whole[start : start + 3] == pytest.approx(weights[rows].sum())


@pytest.mark.parametrize("rows", [1, 3, 100, 130])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_in_evaluation_make_the_same_steps_and_see_each_row_once(rows, world):
    ranks = [LengthGroupedBatches(LENGTHS[:rows], 8, 1, False, rank, world) for rank in range(world)]
    seen = [list(rank) for rank in ranks]
    assert {len(batches) for batches in seen} == {len(rank) for rank in ranks} == {batch_count(rows, 8, world)}
    dealt = [batch for step in zip(*seen, strict=True) for batch in step]
    whole = [batch.tolist() for batch in epoch_batches(LENGTHS[:rows], 8, 1, 0, False)]
    assert dealt[: len(whole)] == whole
    shortest = int(LENGTHS[:rows].argmin())
    assert all(batch == [-1 - shortest] for batch in dealt[len(whole) :]) and len(dealt) - len(whole) < world


def test_epoch_and_skip():
    batches = LengthGroupedBatches(LENGTHS, 16, 1)
    whole = list(batches)
    assert whole == list(batches) and isinstance(whole[0][0], int)
    batches.skip = 5
    assert list(batches) == whole[5:]
    batches.skip = 0
    batches.set_epoch(1)
    assert list(batches) != whole


def test_no_rows():
    assert epoch_batches(LENGTHS[:0], 8, 1, 0, True) == [] == list(LengthGroupedBatches(LENGTHS[:0], 8))
