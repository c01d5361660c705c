"""How quick artifacts are beside each other, on this machine: in turn, so that a machine that slows down slows all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from noria.data.batch.encoded import Encoded
from noria.inference.runner import Runner
from noria.statistics.estimate import Estimate
from noria.statistics.median import median

WARM = 5  # calls that are not counted
ALONE = 200  # examples that are answered one by one
TOGETHER, SIZES, TRIED, ROUNDS = 256, (8, 16, 32, 64), 2, 15


@dataclass(frozen=True)
class Pace:
    """What one artifact took; those timed together took the same examples in the same turns.

    Args:
        alone: (calls,), seconds of an example alone.
        together: (rounds,), seconds of all examples at the best batch size.
        examples: how many those are.
        batch_size: the best of a few.
        of: what is counted: an `example`, or a `token` that is written.
    """

    alone: np.ndarray
    together: np.ndarray
    examples: int
    batch_size: int
    of: str = "example"

    def as_dict(self) -> dict[str, Any]:
        """`p50_ms` and `p99_ms` of an example (or whatever it is `of`) alone, and `examples_per_second` at
        `batch_size`."""
        p50, p99 = (float(value) for value in np.quantile(self.alone, [0.5, 0.99]) * 1e3)
        rate = self.examples / float(np.median(self.together))
        return {"p50_ms": p50, "p99_ms": p99, "examples_per_second": rate, "batch_size": self.batch_size, "of": self.of}

    def times(self, other: Pace) -> dict[str, Estimate]:
        """How many times as long an example alone takes as with another artifact, and how many times as many examples
        are answered a second: medians over the turns, each against the other's in the same turn."""
        return {
            "p50_ms": median(self.alone / other.alone),
            "examples_per_second": median(other.together / self.together),
        }


def paces(
    runners: Mapping[str, Runner],
    encoded: Encoded,
    advance: Callable[[int], Any] = lambda calls: None,
    many: int = TOGETHER,
) -> dict[str, Pace]:
    """What each takes for an example alone, and for many at its best batch size, by name.

    Args:
        encoded: examples, of which some of every length are taken.
        many: how many are answered together.
    """
    alone, together = (some(encoded, count) for count in (ALONE, many))
    order = [*alone[:WARM], *np.random.default_rng(0).permutation(alone)]

    def seconds(name: str, rows: np.ndarray, size: int) -> float:
        started = time.perf_counter()
        runners[name].outputs(encoded, size, index=rows)
        return time.perf_counter() - started

    timing = Timing(list(runners), seconds, WARM, SIZES, TRIED, ROUNDS)
    return timing.run([np.array([row]) for row in order], together, len(together), "example", advance)


@dataclass(frozen=True)
class Timing:
    """How some are timed in turn.

    Args:
        names: of those that are timed.
        seconds: (name, what is asked, batch size) -> what that one takes.
        warm: how many of those asked alone do not count.
        sizes, tried: batch sizes, and how often each is tried before the best one counts.
        rounds: how often all is asked together at the best batch size.
    """

    names: list[str]
    seconds: Callable[[str, Any, int], float]
    warm: int
    sizes: tuple[int, ...]
    tried: int
    rounds: int

    def run(
        self, alone: Sequence[Any], together: Any, count: int, of: str, advance: Callable[[int], Any]
    ) -> dict[str, Pace]:
        """The pace of each, by name.

        Args:
            alone: what is asked one after the other.
            together: what is asked at once, which counts as so many.
            advance: told after each turn.
        """
        each: dict[str, list[float]] = {name: [] for name in self.names}
        for number, one in enumerate(alone):
            for name in self._turn(number):
                taken = self.seconds(name, one, 1)
                if number >= self.warm:
                    each[name].append(taken)
            advance(1)
        quickest: dict[str, dict[int, float]] = {name: {} for name in self.names}
        for number in range(self.tried):
            for size in self.sizes:
                for name in self._turn(number):
                    taken = self.seconds(name, together, size)
                    quickest[name][size] = min(taken, quickest[name].get(size, taken))
                advance(1)
        best = {name: min(found, key=lambda size: found[size]) for name, found in quickest.items()}
        rounds: dict[str, list[float]] = {name: [] for name in self.names}
        for number in range(self.rounds):
            for name in self._turn(number):
                rounds[name].append(self.seconds(name, together, best[name]))
            advance(1)
        return {name: Pace(np.array(each[name]), np.array(rounds[name]), count, best[name], of) for name in self.names}

    def _turn(self, number: int) -> list[str]:
        """Every second time backwards: none always follows the same one."""
        return self.names[:: -1 if number % 2 else 1]


def some(encoded: Encoded, count: int) -> np.ndarray:
    """So many examples, by rising length, of every length as many as there are in proportion."""
    by_length = np.argsort(encoded.lengths, kind="stable")
    return by_length[np.linspace(0, len(by_length) - 1, count).astype(int)]


def calls() -> int:
    """How often `paces` will count, for a progress bar."""
    return WARM + ALONE + TRIED * len(SIZES) + ROUNDS
