"""Metrics of many resamples at once: one matrix product of how often each row counts and what each row adds.

A metric comes in sums form: features (..., n, k), what every row adds to each of k sums, and `value`, which makes the
metric of the sums: (..., k) -> (...). Accuracy is features [right, 1] and value s0 / s1. Knows nothing of what is
measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

Value = Callable[[np.ndarray], np.ndarray]

ROOM = 8_000_000  # numbers held at once by a chunk: 32 MB of float32


def example_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """How often each of `n` rows stands in each bootstrap resample: float32 (resamples, n), every row sums to `n`.

    The same `n` and `seed` give the same counts, and more resamples only add to them. (Efron and Tibshirani 1993,
    section 6.2: a resample is n rows drawn with repetition.)

    Raises:
        ValueError: no rows or no resamples.
    """
    if n < 1:
        raise ValueError(f"a bootstrap needs at least one row, got n={n}")
    if resamples < 1:
        raise ValueError(f"a bootstrap needs at least one resample, got {resamples}")
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, n), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(rng.integers(0, n, size=n), minlength=n)
    return counts


def coins(n: int, tosses: int, seed: int) -> Iterator[np.ndarray]:
    """Fair coins, one for each of `n` rows, as float32 (some, n) of 0 and 1, in blocks that together make `tosses`.

    The same `n` and `seed` give the same coins.
    """
    rng = np.random.default_rng(seed)
    block = max(1, ROOM // n)
    for start in range(0, tosses, block):
        drawn = [np.frombuffer(rng.bytes((n + 7) // 8), np.uint8) for _ in range(min(block, tosses - start))]
        yield np.unpackbits(np.array(drawn), axis=1, count=n).astype(np.float32)


def resampled(features: np.ndarray, value: Value, counts: np.ndarray) -> np.ndarray:
    """The metric on every resample: float64 (resamples,), or (runs, resamples) for runs in a stack.

    Args:
        features: (n, k), or (runs, n, k).
        value: from sums (..., k) to the metric (...).
        counts: (resamples, n), as `example_counts` gives them.

    Raises:
        ValueError: shapes that do not fit.
    """
    stack = as_stack(features)
    if counts.ndim != 2 or counts.shape[1] != stack.shape[1]:
        raise ValueError(f"counts need shape (resamples, n={stack.shape[1]}), got {counts.shape}")
    found = np.empty((len(stack), len(counts)))
    for part in chunks(len(stack), stack.shape[1:], len(counts)):
        found[part] = metric(value, weighted_sums(stack[part], counts))
    return found if np.ndim(features) == 3 else found[0]


def as_stack(features: np.ndarray) -> np.ndarray:
    """Features (n, k) or (runs, n, k) as (runs, n, k).

    Raises:
        ValueError: another number of dimensions, or no rows.
    """
    stack = np.asarray(features)
    if stack.ndim not in (2, 3):
        raise ValueError(f"features need shape (n, k) or (runs, n, k), got {stack.shape}")
    if stack.shape[-2] < 1 or stack.shape[-1] < 1:
        raise ValueError(f"features need at least one row and one column, got shape {stack.shape}")
    return stack if stack.ndim == 3 else stack[None]


def chunks(runs: int, shape: tuple[int, ...], weights: int) -> Iterator[slice]:
    """The runs in slices, so that features of `shape` (n, k) and their sums under so many weights stay in `ROOM`."""
    n, k = shape
    step = max(1, ROOM // (k * (n + 4 * weights)))
    for start in range(0, runs, step):
        yield slice(start, min(start + step, runs))


def weighted_sums(stack: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The sums (runs, w, k) of a stack (runs, n, k) under each of the weights (w, n): float32 inside, float64 out."""
    runs, n, k = stack.shape
    # One product for all runs and columns, with the runs innermost: each column of the sums is then one block.
    flat = np.ascontiguousarray(stack.transpose(1, 2, 0), dtype=np.float32).reshape(n, k * runs)
    sums = np.asarray(weights, dtype=np.float32) @ flat
    return sums.reshape(len(weights), k, runs).transpose(2, 0, 1).astype(np.float64)


def metric(value: Value, sums: np.ndarray) -> np.ndarray:
    """`value` of sums (..., k) as float64 (...); NaN or infinity without a warning where it divides by 0.

    Raises:
        ValueError: `value` gives another shape.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(value(sums), dtype=np.float64)
    if found.shape != sums.shape[:-1]:
        raise ValueError(f"value must make {sums.shape[:-1]} of sums {sums.shape}, got {found.shape}")
    return found


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float, int]:
    """The middle `confidence` of resampled values (B,), and how many of them were used: NaN is left out.

    The ends stand at (B + 1) q, so that B resamples hold what they should on average (Davison and Hinkley 1997,
    section 5.2.1); between order statistics at (B - 1) q they would hold less, by half a point at 400. More than half
    NaN: no interval (NaN, NaN).

    Raises:
        ValueError: a confidence outside (0, 1).
    """
    check_confidence(confidence)
    kept = values[~np.isnan(values)]
    if 2 * len(kept) < len(values):
        return math.nan, math.nan, len(kept)
    tail = (1 - confidence) / 2
    low, high = np.quantile(kept, [tail, 1 - tail], method="weibull")
    return float(low), float(high), len(kept)


def check_confidence(confidence: float) -> None:
    """Raises ValueError for a confidence outside (0, 1)."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
