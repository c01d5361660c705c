"""How quick artifacts are beside each other, on this machine: in turn, so that a machine that slows down slows all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
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
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number, row in enumerate([*alone[:WARM], *np.random.default_rng(0).permutation(alone)]):
        for name in in_turn(runners, number):
            taken = _seconds(runners[name], encoded, np.array([row]), 1)
            if number >= WARM:
                seconds[name].append(taken)
        advance(1)
    tried: dict[str, dict[int, float]] = {name: {} for name in runners}
    for number in range(TRIED):
        for size in SIZES:
            for name in in_turn(runners, number):
                taken = _seconds(runners[name], encoded, together, size)
                tried[name][size] = min(taken, tried[name].get(size, taken))
            advance(1)
    best = {name: min(each, key=lambda size: each[size]) for name, each in tried.items()}
    all_of_them: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(ROUNDS):
        for name in in_turn(runners, number):
            all_of_them[name].append(_seconds(runners[name], encoded, together, best[name]))
        advance(1)
    return {
        name: Pace(np.array(seconds[name]), np.array(all_of_them[name]), len(together), best[name]) for name in runners
    }


def some(encoded: Encoded, count: int) -> np.ndarray:
    """So many examples, by rising length, of every length as many as there are in proportion."""
    by_length = np.argsort(encoded.lengths, kind="stable")
    return by_length[np.linspace(0, len(by_length) - 1, count).astype(int)]


def calls() -> int:
    """How often `paces` will count, for a progress bar."""
    return WARM + ALONE + TRIED * len(SIZES) + ROUNDS


def in_turn(runners: Mapping[str, Runner], number: int) -> list[str]:
    """Every second time backwards: none always follows the same one."""
    return list(runners)[:: -1 if number % 2 else 1]


def _seconds(runner: Runner, encoded: Encoded, rows: np.ndarray, size: int) -> float:
    started = time.perf_counter()
    runner.outputs(encoded, size, index=rows)
    return time.perf_counter() - started
