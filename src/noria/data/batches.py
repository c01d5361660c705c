"""Which rows form which batch: rows of like length together, in an order that only (seed, epoch) decide.

Knows row lengths and numbers, nothing of texts or tensors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

POOL = 50  # batches: large enough to save padding, small enough to keep batches random


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool) -> list[np.ndarray]:
    """The batches of one epoch as arrays of row numbers (int64); every row stands in exactly one.

    Shuffled: rows in random order are cut into pools of 50 batches, each pool is sorted by length and cut
    into batches, and the batches are shuffled. Not shuffled: all rows by falling length, so that a batch too
    large for the memory is met at once.
    """
    if not shuffle:
        return _cut(np.argsort(-lengths.astype(np.int64), kind="stable"), batch_size)
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(len(lengths))
    pool = np.arange(len(rows)) // (POOL * batch_size)
    batches = _cut(rows[np.lexsort((lengths[rows], pool))], batch_size)
    return [batches[place] for place in rng.permutation(len(batches))]


class LengthGroupedBatches(Sampler[list[int]]):
    """Yields one rank's batches, as lists of row numbers, for a loader with `batch_size=None`.

    Training (shuffled): the rows of an optimiser step, `batch_size * world_size * accumulate` of them, are chosen
    first and then cut into `accumulate` batches a rank, so that a step has the same rows however it is executed.
    Evaluation (not shuffled): whole batches are dealt out.

    A rank for which no row is left gets one filler, for a forward may wait for all ranks: a row number below
    zero, -1 - row. It counts nowhere.

    `set_epoch` chooses the order; the first `skip` batches of it are left out.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        accumulate: int = 1,
    ) -> None:
        assert 0 <= rank < world_size
        assert shuffle or accumulate == 1
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.accumulate = accumulate
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return batch_count(len(self.lengths), self.batch_size, self.world_size, self.accumulate)

    def __iter__(self) -> Iterator[list[int]]:
        # not a generator: epoch and skip are read when the iterator is made
        return iter([self._own(batch) for batch in self._batches()[self.skip :]])

    def step_weights(self, weights: np.ndarray, batches: int) -> np.ndarray:
        """For each of the epoch's batches the weight of its whole optimiser step, over all its batches and ranks.

        Args:
            weights: (rows,), what each row counts with.
            batches: how many batches of the epoch are trained on: the last step ends there.
        """
        each = np.array([weights[batch].sum() for batch in self._batches()])
        each[batches:] = 0
        return each.reshape(-1, self.accumulate).sum(1).repeat(self.accumulate)

    def _batches(self) -> list[np.ndarray]:
        """Each batch of the epoch over all ranks; in evaluation those of this rank."""
        if self.shuffle:
            size = self.batch_size * self.world_size * self.accumulate
            steps = epoch_batches(self.lengths, size, self.seed, self.epoch, shuffle=True)
            return [batch for step in steps for batch in np.array_split(step, self.accumulate)]
        whole = epoch_batches(self.lengths, self.batch_size, self.seed, self.epoch, shuffle=False)
        own = whole[self.rank :: self.world_size]
        return own + [np.empty(0, np.int64)] * (len(self) - len(own))

    def _own(self, batch: np.ndarray) -> list[int]:
        rows = batch[self.rank :: self.world_size] if self.shuffle else batch
        return rows.tolist() or [-1 - int(self.lengths.argmin())]


def batch_count(rows: int, batch_size: int, world_size: int, accumulate: int = 1) -> int:
    """How many batches each rank sees in an epoch."""
    return math.ceil(rows / (batch_size * world_size * accumulate)) * accumulate


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
