"""How quick artifacts are beside each other, on this machine: in turn, so that a machine that slows down slows all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from noria.data.batch.encoded import Encoded
from noria.inference.runner import Runner

WARM = 5  # calls that are not counted
ALONE = 200  # examples that are answered one by one
TOGETHER, SIZES, ROUNDS = 128, (8, 16, 32, 64), 3


def paces(
    runners: Mapping[str, Runner], encoded: Encoded, advance: Callable[[int], Any] = lambda calls: None
) -> dict[str, dict[str, float]]:
    """What each takes for an example alone, and what it gives at its best batch size, by name.

    Args:
        encoded: examples, of which some of every length are taken.

    Returns:
        `p50_ms` and `p99_ms` at batch 1, `examples_per_second` at `batch_size`, the best of a few.
    """
    by_length = np.argsort(encoded.lengths, kind="stable")
    alone, together = (by_length[np.linspace(0, len(by_length) - 1, count).astype(int)] for count in (ALONE, TOGETHER))
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for number, row in enumerate([*alone[:WARM], *np.random.default_rng(0).permutation(alone)]):
        for name in _turn(runners, number):
            taken = _seconds(runners[name], encoded, np.array([row]), 1)
            if number >= WARM:
                seconds[name].append(taken)
        advance(1)
    rates: dict[str, dict[int, list[float]]] = {name: {size: [] for size in SIZES} for name in runners}
    for number in range(ROUNDS):
        for size in SIZES:
            for name in _turn(runners, number):
                rates[name][size].append(len(together) / _seconds(runners[name], encoded, together, size))
            advance(1)
    found = {}
    for name in runners:
        middle = {size: float(np.median(each)) for size, each in rates[name].items()}
        best = max(middle, key=lambda size: middle[size])
        p50, p99 = (float(value) for value in np.quantile(seconds[name], [0.5, 0.99]) * 1e3)
        found[name] = {"p50_ms": p50, "p99_ms": p99, "examples_per_second": middle[best], "batch_size": best}
    return found


def calls() -> int:
    """How often `paces` will count, for a progress bar."""
    return WARM + ALONE + ROUNDS * len(SIZES)


def _turn(runners: Mapping[str, Runner], number: int) -> list[str]:
    """Every second time backwards: none always follows the same one."""
    return list(runners)[:: -1 if number % 2 else 1]


def _seconds(runner: Runner, encoded: Encoded, rows: np.ndarray, size: int) -> float:
    started = time.perf_counter()
    runner.outputs(encoded, size, index=rows)
    return time.perf_counter() - started
