"""Passages by the nearness of their vectors: exactly, in fewer bits, or approximately. Knows no text."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

Form = Literal["fp32", "int8", "binary", "hnsw"]
EXACT = 100_000  # vectors up to which comparing all of them takes a few milliseconds

VECTORS, CODES, BITS = "vectors.npy", "vectors.faiss", "bits.faiss"
OVERSAMPLED = 10  # times as many passages are found by their bits as are wanted, and scored again by their bytes
LEAST = 200  # of them
LINKS, WIDE = 32, 200  # of each vector in the graph, and candidates while it is built (Malkov and Yashunin 2018)
DEEP = 256  # candidates while it is searched, at least


class Dense:
    """Vectors of length 1 by number; the score of two is their cosine.

    `fp32` compares all numbers as they are; `int8` a byte of each, a quarter of the room; `binary` their signs, and the
    nearest again by their bytes; `hnsw` searches a graph over bytes: far quicker with millions, and nearly exact.

    Args:
        form: as above.
        parts: by file name, the array or the faiss indexes.
    """

    def __init__(self, form: Form, parts: dict[str, Any]) -> None:
        self.form, self._parts = form, parts

    @classmethod
    def build(cls, vectors: np.ndarray, form: Form) -> Dense:
        """
        Args:
            vectors: (count, width), fp32.
        """
        if form == "fp32":
            return cls(form, {VECTORS: np.ascontiguousarray(vectors, np.float32)})

        width, kind = vectors.shape[1], _faiss().ScalarQuantizer.QT_8bit
        if form == "hnsw":
            codes = _faiss().IndexHNSWSQ(width, kind, LINKS, _faiss().METRIC_INNER_PRODUCT)
            codes.hnsw.efConstruction = WIDE
        else:
            codes = _faiss().IndexScalarQuantizer(width, kind, _faiss().METRIC_INNER_PRODUCT)
        codes.train(vectors)
        codes.add(vectors)
        parts = {CODES: codes}
        if form == "binary":
            parts[BITS] = _faiss().IndexBinaryFlat(-(-width // 8) * 8)
            parts[BITS].add(_bits(vectors))
        return cls(form, parts)

    @classmethod
    def open(cls, folder: Path, form: Form) -> Dense:
        """As `save` has left it; what can be is mapped from the disk."""
        if form == "fp32":
            return cls(form, {VECTORS: np.load(folder / VECTORS, mmap_mode="r")})

        parts: dict[str, Any] = {CODES: _faiss().read_index(str(folder / CODES), _faiss().IO_FLAG_MMAP_IFC)}
        if form == "binary":
            parts[BITS] = _faiss().read_index_binary(str(folder / BITS))
        return cls(form, parts)

    def save(self, folder: Path) -> None:
        for name, part in self._parts.items():
            if name == VECTORS:
                np.save(folder / name, part)
                continue

            (_faiss().write_index_binary if name == BITS else _faiss().write_index)(part, str(folder / name))

    def changed(self, stays: np.ndarray, added: np.ndarray) -> Dense:
        """Only those that stay (bool, one each), in their order, and others behind them."""
        if self.form == "fp32":
            return Dense(self.form, {VECTORS: np.concatenate([self._parts[VECTORS][stays], added])})

        if self.form == "hnsw":  # nothing can be taken out of the graph
            codes = self._parts[CODES]
            kept = codes.reconstruct_n(0, codes.ntotal)[stays]
            return Dense.build(np.concatenate([kept, added]), self.form)
        parts = {}
        for name, part in self._parts.items():
            parts[name] = _faiss().clone_binary_index(part) if name == BITS else _faiss().clone_index(part)
            parts[name].remove_ids(_faiss().IDSelectorBatch(np.flatnonzero(~stays)))
            if len(added):
                parts[name].add(_bits(added) if name == BITS else added)
        return Dense(self.form, parts)

    def __len__(self) -> int:
        return len(self._parts[VECTORS]) if self.form == "fp32" else int(self._parts[CODES].ntotal)

    @property
    def width(self) -> int:
        """How many numbers a vector has."""
        return int(self._parts[VECTORS].shape[1] if self.form == "fp32" else self._parts[CODES].d)

    def nearest(
        self, queries: np.ndarray, count: int, among: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the nearest vectors and their cosines, (queries, count) both, the nearest first; -1 and -inf
        where there are no more.

        Args:
            queries: (queries, width), fp32, of length 1.
            among: (vectors,), bool: those that are looked at; None: all.
        """
        count = min(count, len(self))
        if not count:
            return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
        if self.form == "fp32":
            scores = queries @ self._parts[VECTORS].T
            if among is not None:
                scores[:, ~among] = -np.inf
            return _highest(scores, count)

        selector = None if among is None else _faiss().IDSelectorBatch(np.flatnonzero(among))
        if self.form == "binary":
            return self._by_bits(queries, count, selector)
        if self.form == "hnsw":
            found = _faiss().SearchParametersHNSW(efSearch=max(DEEP, 2 * count), sel=selector)
        else:
            found = _faiss().SearchParameters(sel=selector)
        scores, numbers = self._parts[CODES].search(queries, count, params=found)
        return numbers, np.where(numbers >= 0, scores, -np.inf)

    def _by_bits(self, queries: np.ndarray, count: int, selector: Any) -> tuple[np.ndarray, np.ndarray]:

        wide = min(len(self), max(LEAST, OVERSAMPLED * count))
        parameters = None if selector is None else _faiss().SearchParameters(sel=selector)
        _, numbers = self._parts[BITS].search(_bits(queries), wide, params=parameters)
        scores = np.full(numbers.shape, -np.inf, np.float32)
        for row, found in enumerate(numbers):
            there = found >= 0
            scores[row, there] = self._parts[CODES].reconstruct_batch(found[there]) @ queries[row]
        places, best = _highest(scores, count)
        return np.where(np.isfinite(best), np.take_along_axis(numbers, np.maximum(places, 0), 1), -1), best


def fitting(count: int) -> Form:
    """The form for so many vectors: exact while that is quick."""
    return "fp32" if count <= EXACT else "hnsw"


def _highest(scores: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of the highest scores of each row and these, in falling order, those of one score by their place."""
    if count < scores.shape[1]:
        kept = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    else:
        kept = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    best = np.take_along_axis(scores, kept, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    best = np.take_along_axis(best, order, 1)
    return np.where(np.isfinite(best), np.take_along_axis(kept, order, 1), -1), best


def _faiss() -> Any:
    """The library; importing it takes a while, and not every index needs it."""
    return import_module("faiss")


def _bits(vectors: np.ndarray) -> np.ndarray:
    return np.packbits(vectors > 0, axis=1)
