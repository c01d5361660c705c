"""Vectors by number: what is nearest, in every form; what is left out and added; what is filtered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noria.index.dense import Dense, fitting

FORMS: list[Any] = ["fp32", "int8", "binary", "hnsw"]


def drawn(count: int, seed: int = 0) -> np.ndarray:
    """Vectors of length 1, near to one of twenty others each: as those of texts are, not evenly spread."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(20, 32))
    made = centres[rng.integers(0, 20, count)] + 0.5 * rng.normal(size=(count, 32))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_the_nearest_are_found_and_kept_on_the_disk(form: Any, tmp_path: Path) -> None:
    vectors, queries = drawn(500), drawn(40, 1)
    exact = np.argsort(-(queries @ vectors.T), axis=1, kind="stable")[:, :10]
    made = Dense.build(vectors, form)
    made.save(tmp_path)
    for dense in (made, Dense.open(tmp_path, form)):
        numbers, scores = dense.nearest(queries, 10)
        shared = np.mean([len({*a} & {*b}) / 10 for a, b in zip(numbers.tolist(), exact.tolist(), strict=True)])
        assert shared == 1 if form == "fp32" else shared > 0.9
        wanted = np.take_along_axis(queries @ vectors.T, numbers, 1)
        np.testing.assert_allclose(scores, wanted, atol=1e-6 if form == "fp32" else 0.02)
        assert (np.diff(scores, axis=1) <= 0).all() and len(dense) == 500 and dense.width == 32


@pytest.mark.parametrize("form", FORMS)
def test_some_go_and_others_come(form: Any) -> None:
    vectors, more = drawn(300), drawn(50, 2)
    stays = np.arange(300) % 3 > 0
    dense = Dense.build(vectors, form).changed(stays, more)
    whole = np.concatenate([vectors[stays], more])
    assert len(dense) == len(whole)
    numbers, _ = dense.nearest(whole, 1)
    assert (numbers[:, 0] == np.arange(len(whole))).mean() > 0.97
    gone = Dense.build(vectors, form).changed(np.zeros(300, bool), more[:1])
    numbers, _ = gone.nearest(more[:2], 5)
    assert numbers.shape == (2, 1) and numbers.tolist() == [[0], [0]]


@pytest.mark.parametrize("form", FORMS)
def test_only_those_that_are_allowed(form: Any) -> None:
    vectors = drawn(300)
    among = np.zeros(300, bool)
    among[[7, 90, 200]] = True
    numbers, scores = Dense.build(vectors, form).nearest(drawn(5, 3), 10, among)
    for row, found in zip(numbers, scores, strict=True):
        assert {*row[row >= 0].tolist()} <= {7, 90, 200} and np.isneginf(found[row < 0]).all()
    if form != "hnsw":  # a graph may not reach all of a few
        assert (np.sort(numbers, axis=1)[:, -3:] == [7, 90, 200]).all()


def test_many_vectors_are_searched_by_a_graph() -> None:
    assert [fitting(count) for count in (0, 100_000, 100_001)] == ["fp32", "fp32", "hnsw"]


def test_equal_vectors_come_in_their_order() -> None:
    vectors = np.repeat(drawn(1), 6, axis=0)
    numbers, _ = Dense.build(vectors, "fp32").nearest(vectors[:1], 4)
    assert numbers.tolist() == [[0, 1, 2, 3]]
