from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from transformers import PreTrainedTokenizerBase

from noria.common.errors import UserError
from noria.data.batch.batches import LengthGroupedBatches, batch_count, epoch_batches
from noria.data.source.movie_reviews import MovieReviews
from noria.data.source.sst2 import Sst2
from noria.task.text_classification.form import TextClassificationForm

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


@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_begins_with_the_batch_of_most_tokens(epoch):
    tokens = [int(LENGTHS[batch].sum()) for batch in epoch_batches(LENGTHS, 16, 1, epoch, True)]
    assert tokens[0] == max(tokens)


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


def by_tokens(lengths: np.ndarray, tokens: int, seed: int = 1, world: int = 1, accumulate: int = 1, epoch: int = 0):
    """The batches of every rank."""
    ranks = [LengthGroupedBatches(lengths, 1, seed, True, rank, world, accumulate, tokens) for rank in range(world)]
    for rank in ranks:
        rank.set_epoch(epoch)
    seen = [list(rank) for rank in ranks]
    assert {len(batches) for batches in seen} == {len(rank) for rank in ranks}, "what is said is not what is made"
    return seen


def steps_of(seen: list[list[list[int]]], accumulate: int) -> list[list[int]]:
    """The rows of each optimiser step, sorted."""
    batches = [[row for batch in step for row in batch if row >= 0] for step in zip(*seen, strict=True)]
    starts = range(0, len(batches), accumulate)
    return [sorted(row for batch in batches[at : at + accumulate] for row in batch) for at in starts]


SHAPES: list[Callable[[np.random.Generator, int], np.ndarray]] = [
    lambda rng, rows: rng.integers(1, 60, rows),
    lambda rng, rows: rng.geometric(0.05, rows),
    lambda rng, rows: np.minimum(rng.lognormal(3, 1, rows).astype(int) + 1, 512),
    lambda rng, rows: np.full(rows, int(rng.integers(1, 80))),
    lambda rng, rows: rng.choice([3, 128], rows),
    lambda rng, rows: np.arange(1, rows + 1),
]


@pytest.mark.parametrize("case", range(150))
def test_a_budget_of_tokens_holds_in_every_epoch_and_the_epochs_have_as_many_batches(case):
    rng = np.random.default_rng(case)
    rows = int(rng.choice([0, 1, 2, 7, 50, 400, 1500]))
    lengths = SHAPES[case % len(SHAPES)](rng, rows).astype(np.int32)
    longest = int(lengths.max(initial=1))
    tokens = int(rng.choice([longest, longest + 1, 2 * longest, 2 * longest + 1, 7 * longest, 40 * longest]))
    world, accumulate = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    counts = set()
    for epoch in range(4):
        seen = by_tokens(lengths, tokens, case, world, accumulate, epoch)
        counts.add(len(seen[0]))
        flat = [row for batches in seen for batch in batches for row in batch]
        assert sorted(row for row in flat if row >= 0) == list(range(rows))
        for batch in (batch for batches in seen for batch in batches):
            assert len(batch) * max(lengths[row if row >= 0 else -1 - row] for row in batch) <= tokens
            assert min(batch) >= 0 or len(batch) == 1
        steps = steps_of(seen, accumulate)
        assert all(steps), "a step without a row has no loss"
        for other in {1, accumulate, world, world * accumulate}:
            if world * accumulate % other == 0:
                again = by_tokens(lengths, tokens, case, world * accumulate // other, other, epoch)
                assert steps_of(again, other) == steps
    assert len(counts) == 1


def test_a_budget_of_tokens_keeps_batches_random():
    one, two = (by_tokens(LENGTHS, 512, epoch=epoch)[0] for epoch in (0, 1))
    assert one == by_tokens(LENGTHS, 512)[0] != by_tokens(LENGTHS, 512, seed=2)[0]
    assert len({tuple(sorted(batch)) for batch in one} & {tuple(sorted(batch)) for batch in two}) < 5
    place = {row: batch for batch, rows in enumerate(two) for row in rows}
    pairs = [(batch[0], other) for batch in one for other in batch[1:]]
    assert np.mean([place[a] == place[b] for a, b in pairs]) < 0.6, "the same rows meet again"
    means = [LENGTHS[batch].mean() for batch in one]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3, "long batches stand together"


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (4, 1), (2, 3)])
def test_a_budget_of_tokens_is_nearly_used_up_by_every_rank(world, accumulate):
    seen = by_tokens(LENGTHS, 1024, world=world, accumulate=accumulate)
    computed = np.array([[len(batch) * LENGTHS[batch].max() for batch in batches] for batches in seen])
    assert computed.max() <= 1024 and computed.mean() > 0.9 * 1024
    assert (computed.min(0) / computed.max(0)).mean() > 0.93, "some ranks wait for others"
    assert len(seen[0]) <= 1.05 * LENGTHS.sum() / (1024 * world) + accumulate


@pytest.mark.parametrize(("world", "accumulate"), [(1, 3), (2, 2)])
def test_the_weight_of_a_step_by_tokens_is_that_of_its_rows(world, accumulate):
    lengths, weights = LENGTHS[:300], np.random.default_rng(2).random(300)
    rank = LengthGroupedBatches(lengths, 1, 1, True, 0, world, accumulate, 256)
    seen = by_tokens(lengths, 256, 1, world, accumulate)
    batches = len(seen[0])
    for used in (batches, batches - 1):
        steps = steps_of([each[:used] for each in seen], accumulate)
        expected = np.repeat([weights[step].sum() for step in steps], accumulate)
        np.testing.assert_allclose(rank.step_weights(weights, used)[: len(expected)], expected)


def test_a_row_that_exceeds_the_budget_is_refused():
    with pytest.raises(UserError, match=r"data.batch_tokens=8, but the longest row has 9 tokens: .*data.max_length"):
        LengthGroupedBatches(np.array([3, 9]), 1, batch_tokens=8)


def waste(batches: LengthGroupedBatches) -> float:
    """Computed tokens over useful ones, the mean of three epochs."""
    computed = 0
    for epoch in range(3):
        batches.set_epoch(epoch)
        computed += sum(len(batch) * int(batches.lengths[batch].max()) for batch in batches)
    return computed / 3 / batches.lengths.sum()


@cache
def sst2_lengths(tokenizer: PreTrainedTokenizerBase, folder: str) -> np.ndarray:
    return Sst2(path=folder).bind(TextClassificationForm(), tokenizer, 1).encoded("train").lengths


def test_little_is_computed_in_vain_on_rotten_tomatoes(tokenizer):
    lengths = MovieReviews().bind(TextClassificationForm(), tokenizer, 1).encoded("train").lengths
    by_budget = LengthGroupedBatches(lengths, 32, 1, batch_tokens=1024)
    assert 1 < waste(LengthGroupedBatches(lengths, 32, 1)) < 1.03
    assert 1 < waste(by_budget) < 1.03
    assert len(by_budget) < 1.05 * lengths.sum() / 1024


@pytest.mark.parametrize(
    "tokens",
    [None, 1024],
)
def test_little_is_computed_in_vain_on_sst2(tokenizer, shared_data, tokens):
    lengths = sst2_lengths(tokenizer, str(shared_data("glue_sst2")))
    batches = LengthGroupedBatches(lengths, 32, 1, batch_tokens=tokens)
    assert 1 < waste(batches) < 1.03
    assert tokens is None or len(batches) < 1.05 * lengths.sum() / tokens
