"""The most probable valid sequence of tags of a text (Viterbi 1967). NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noria.metric.tags import follows

MANY = 256  # texts at a time


def allowed(labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which labels may begin a text (k,), and which may stand behind which (k, k), both bool."""
    first = np.array([follows(None, label) for label in labels])
    return first, np.array([[follows(before, label) for label in labels] for before in labels])


def best(scores: Sequence[np.ndarray], labels: Sequence[str]) -> list[np.ndarray]:
    """The numbers of the labels of each text's words.

    Args:
        scores: of each text the log-probabilities (words, k) of its words; the sum of a sequence's is its own.
        labels: the names of the k classes.
    """
    order = sorted(range(len(scores)), key=lambda row: len(scores[row]))
    found: list[np.ndarray] = [np.empty(0, np.int64)] * len(scores)
    for start in range(0, len(order), MANY):
        rows = order[start : start + MANY]
        for row, path in zip(rows, _best([scores[row] for row in rows], labels), strict=True):
            found[row] = path
    return found


def _best(scores: Sequence[np.ndarray], labels: Sequence[str]) -> list[np.ndarray]:
    first, behind = allowed(labels)
    lengths = np.array([len(each) for each in scores])
    longest = int(lengths.max(initial=0))
    if not longest:
        return [np.empty(0, np.int64) for _ in scores]
    padded = np.zeros((len(scores), longest, len(labels)))
    for row, each in enumerate(scores):
        padded[row, : len(each)] = each
    total = np.where(first, padded[:, 0], -np.inf)  # (texts, k): the best sum of a sequence that ends so
    came = np.zeros((len(scores), longest, len(labels)), np.int64)
    ends = np.where(lengths == 1, total.argmax(1), 0)
    for place in range(1, longest):
        ways = np.where(behind, total[:, :, None], -np.inf)  # (texts, before, now)
        came[:, place] = ways.argmax(1)
        total = ways.max(1) + padded[:, place]
        ends = np.where(lengths == place + 1, total.argmax(1), ends)
    paths = []
    for row, length in enumerate(lengths):
        path = np.empty(length, np.int64)
        now = ends[row]
        for place in range(length - 1, -1, -1):
            path[place] = now
            now = came[row, place, now]
        paths.append(path)
    return paths
