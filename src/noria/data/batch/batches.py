"""Which rows form which batch: rows of like length together, in an order that only (seed, epoch) decide.

Knows row lengths and numbers, nothing of texts or tensors.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from noria.common.errors import UserError

POOL = 100  # batches: enough to waste less than 3 % of all computing on padding, few enough to keep batches random
TOKEN_POOL = 75  # steps; a pool's last step is not always full, so fewer and larger pools


def epoch_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, shuffle: bool) -> list[np.ndarray]:
    """The batches of one epoch as arrays of row numbers (int64); every row stands in exactly one.

    Shuffled: rows in random order are cut into pools of 100 batches, each pool is sorted by length and cut
    into batches, and the batches are shuffled, but for the one of the most tokens, which comes first. Not shuffled:
    all rows by falling length. Both so that a batch too large for the memory is met at once, and what the first one
    took is enough for all that follow.
    """
    if not shuffle:
        return _cut(np.argsort(-lengths.astype(np.int64), kind="stable"), batch_size)
    rng = np.random.default_rng([seed, epoch])
    rows = rng.permutation(len(lengths))
    for pool in _cut(rows, POOL * batch_size):  # each a view
        pool[:] = pool[np.argsort(lengths[pool], kind="stable")]
    batches = _cut(rows, batch_size)
    return _longest_first([batches[place] for place in rng.permutation(len(batches))], lengths)


class TokenBudget:
    """Cuts shuffled epochs into steps of `parts` batches, each of at most `tokens` padded tokens (rows x longest).

    Every epoch has the same number of steps, whatever its order. For the rows, by falling length (ties in random
    order), are dealt out P at a time, one to each of P pools, at random. So the row at place i of a pool is one of
    the rows P*i to P*i + P - 1, never longer than row P*i, whose length no order changes. What is cut such that the
    lengths of the rows P*i would fit, fits in every pool and epoch; and the cuts are those lengths' alone. The last
    deal may not reach every pool: a step that begins there is made in those that it reaches, always as many.

    Raises:
        UserError: one row is longer than `tokens`.
    """

    def __init__(self, lengths: np.ndarray, tokens: int, parts: int) -> None:
        falling = np.sort(lengths.astype(np.int64))[::-1]
        low = int(falling.max(initial=1))
        if low > tokens:
            raise UserError(
                f"data.batch_tokens={tokens}, but the longest row has {low} tokens: raise it, or lower data.max_length."
            )
        self.lengths = lengths
        self.parts = parts
        self.pools = max(1, math.ceil((len(_bounds(falling, tokens)) - 1) / (parts * TOKEN_POOL)))
        longest = falling[:: self.pools]  # at each place of a pool
        steps = math.ceil((len(_bounds(longest, tokens)) - 1) / parts)
        # the smallest budget that needs no more steps, so that the last one is not a small rest
        low += bisect_left(range(low, tokens), True, key=lambda t: len(_bounds(longest, t)) - 1 <= steps * parts)
        bounds = _bounds(longest, low)
        self._bounds = bounds + [len(longest)] * (steps * parts + 1 - len(bounds))

    def __len__(self) -> int:
        """Steps of an epoch: a step is made in each pool that has a row at its first place."""
        starts = self._bounds[: -1 : self.parts]
        return sum(min(self.pools, len(self.lengths) - start * self.pools) for start in starts)

    def steps(self, seed: int, epoch: int) -> list[list[np.ndarray]]:
        """The steps of one epoch, each as `parts` arrays of row numbers, of which later ones may be empty."""
        rng = np.random.default_rng([seed, epoch])
        rows = rng.permutation(len(self.lengths))
        dealt = np.full((self._bounds[-1], self.pools), -1)
        dealt.flat[: len(rows)] = rows[np.argsort(-self.lengths[rows].astype(np.int64), kind="stable")]
        steps = []
        for pool in rng.permuted(dealt, axis=1).T:
            parts = [part[part >= 0] for part in np.split(pool, self._bounds[1:-1])]
            steps += [parts[at : at + self.parts] for at in range(0, len(parts), self.parts) if parts[at].size]
        return [steps[place] for place in rng.permutation(len(steps))]


class LengthGroupedBatches(Sampler[list[int]]):
    """Yields one rank's batches, as lists of row numbers, for a loader with `batch_size=None`.

    Training (shuffled): the rows of an optimiser step, `batch_size * world_size * accumulate` of them, are chosen
    first and then cut into `accumulate` batches a rank, so that a step has the same rows however it is executed.
    With `batch_tokens` a batch has as many rows of like length as fit into that many padded tokens (`TokenBudget`),
    and a step the rows of `world_size * accumulate` such batches, whichever of the two makes them so many. (Half the
    budget for twice the batches is nearly the same step, not quite: a batch holds whole rows.)
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
        batch_tokens: int | None = None,
    ) -> None:
        assert 0 <= rank < world_size
        assert shuffle or (accumulate == 1 and batch_tokens is None)
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.rank = rank
        self.world_size = world_size
        self.accumulate = accumulate
        self.budget = TokenBudget(lengths, batch_tokens, world_size * accumulate) if batch_tokens else None
        self.epoch = 0
        self.skip = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        if self.budget:
            return len(self.budget) * self.accumulate
        return batch_count(len(self.lengths), self.batch_size, self.world_size, self.accumulate)

    def __iter__(self) -> Iterator[list[int]]:
        # not a generator: epoch and skip are read when the iterator is made
        return map(self._numbers, self._own()[self.skip :])

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
        """Each training batch of the epoch over all ranks."""
        if self.budget:
            parts = self._parts()
            starts = range(0, len(parts), self.world_size)
            return [np.concatenate(parts[start : start + self.world_size]) for start in starts]
        size = self.batch_size * self.world_size * self.accumulate
        steps = epoch_batches(self.lengths, size, self.seed, self.epoch, shuffle=True)
        return [batch for step in steps for batch in np.array_split(step, self.accumulate)]

    def _parts(self) -> list[np.ndarray]:
        """Batch after batch what is every rank's of it, by token budget: neighbours, so of like length."""
        assert self.budget
        return [part for step in self.budget.steps(self.seed, self.epoch) for part in step]

    def _own(self) -> list[np.ndarray]:
        """This rank's batches of the epoch."""
        if self.budget:
            return self._parts()[self.rank :: self.world_size]
        if self.shuffle:
            return [batch[self.rank :: self.world_size] for batch in self._batches()]
        whole = epoch_batches(self.lengths, self.batch_size, self.seed, self.epoch, shuffle=False)
        own = whole[self.rank :: self.world_size]
        return own + [np.empty(0, np.int64)] * (len(self) - len(own))

    def _numbers(self, batch: np.ndarray) -> list[int]:
        return batch.tolist() or [-1 - int(self.lengths.argmin())]


def batch_count(rows: int, batch_size: int, world_size: int, accumulate: int = 1) -> int:
    """How many batches each rank sees in an epoch."""
    return math.ceil(rows / (batch_size * world_size * accumulate)) * accumulate


def _longest_first(batches: list[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
    longest = max(range(len(batches)), key=lambda place: int(lengths[batches[place]].sum()), default=0)
    return batches[longest : longest + 1] + batches[:longest] + batches[longest + 1 :]


def _bounds(longest: np.ndarray, tokens: int) -> list[int]:
    """Where batches begin and end that take, from the first row on, as many rows as fit their longest, the first."""
    bounds = [0]
    while bounds[-1] < len(longest):
        rows = tokens // max(int(longest[bounds[-1]]), 1)
        bounds.append(min(bounds[-1] + rows, len(longest)))
    return bounds


def _cut(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
