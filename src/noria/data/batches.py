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

    Training (shuffled): batches of `batch_size * world_size` rows are cut across the ranks, so that every
    rank makes the same number of steps; where the last such batch has fewer rows than there are ranks, some
    of its rows are repeated. Evaluation (not shuffled): whole batches are dealt out; a rank that gets one
    fewer than the others repeats the last batch, for a forward may wait for all ranks. Who gathers the rows
    takes each once, by its number.

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
    ) -> None:
        assert 0 <= rank < world_size
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return batch_count(len(self.lengths), self.batch_size, self.world_size)

    def __iter__(self) -> Iterator[list[int]]:
        # not a generator: epoch and skip are read when the iterator is made
        return iter([batch.tolist() for batch in self._batches()[self.skip :]])

    def _batches(self) -> list[np.ndarray]:
        if not self.shuffle:
            whole = epoch_batches(self.lengths, self.batch_size, self.seed, self.epoch, shuffle=False)
            places = range(self.rank, len(self) * self.world_size, self.world_size)
            return [whole[min(place, len(whole) - 1)] for place in places]
        size = self.batch_size * self.world_size
        batches = epoch_batches(self.lengths, size, self.seed, self.epoch, shuffle=True)
        return [np.resize(batch, max(len(batch), self.world_size))[self.rank :: self.world_size] for batch in batches]


def batch_count(rows: int, batch_size: int, world_size: int) -> int:
    """How many batches each rank sees in an epoch."""
    return math.ceil(rows / (batch_size * world_size))


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
