"""Queries against an index: by words, by vectors, or by both. Knows no file and no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError, did_you_mean
from noria.index.documents import ID, TEXT, TITLE
from noria.index.folder import Index
from noria.index.ranking import Ranking, fused, of_documents

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

Mode = Literal["hybrid", "lexical", "dense"]
MODES = get_args(Mode)
Filters = Mapping[str, Any]
"""By column the value that a document must have, or a list of values of which it must have one."""

DEPTH = 1000  # documents that each of the two searches gives to the fusion
PASSAGES = 4  # passages that are looked at for each document that is wanted: the best of some are of one document


class Searcher:
    """An index that is asked.

    Args:
        encode: queries -> their vectors (queries, width), of length 1.
    """

    def __init__(self, index: Index, encode: Callable[[list[str]], np.ndarray]) -> None:
        self.index = index
        self._encode = encode
        self._owners = np.asarray(index.passages[:, 0])

    def search(self, queries: Sequence[str], mode: Mode, count: int, filters: Filters | None = None) -> list[Ranking]:
        """For each query the documents that are found, the best first, at most `count`.

        By their words only documents are found that have one of the query's.

        Raises:
            UserError: a filter names no column.
        """
        allowed = self._allowed(filters) if filters else None
        depth = count if mode != "hybrid" else max(count, DEPTH)
        found: list[list[Ranking]] = []
        if mode != "dense":
            found.append([self._by_words(query, depth, allowed) for query in queries])
        if mode != "lexical":
            found.append(self._by_vectors(queries, depth, allowed))
        if mode == "hybrid":
            return [fused(both, count) for both in zip(*found, strict=True)]
        return [one.first(count) for one in found[0]]

    def _by_words(self, query: str, depth: int, allowed: np.ndarray | None) -> Ranking:
        scores = self.index.lexical.scores(query)
        there = scores > 0 if allowed is None else (scores > 0) & allowed
        numbers = np.flatnonzero(there)
        return of_documents(numbers, scores[numbers], self._owners, depth)

    def _by_vectors(self, queries: Sequence[str], depth: int, allowed: np.ndarray | None) -> list[Ranking]:
        vectors = self._encode(list(queries))
        numbers, scores = self.index.dense.nearest(vectors, PASSAGES * depth, allowed)
        each = zip(numbers, scores, strict=True)
        return [of_documents(row[row >= 0], found[row >= 0], self._owners, depth) for row, found in each]

    def _allowed(self, filters: Filters) -> np.ndarray:
        """Which passages are of documents that pass (passages,)."""
        table = self.index.documents
        passes = np.ones(table.num_rows, bool)
        for name, wanted in filters.items():
            if name not in table.column_names:
                columns = [column for column in table.column_names if column not in (TITLE, TEXT)]
                raise UserError(f"filters: no document has '{name}'. {did_you_mean(name, columns)}")
            values = wanted if isinstance(wanted, list) else [wanted]
            try:
                right = pc.is_in(table[name], value_set=pa.array(values, table[name].type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
                kind = table[name].type
                raise UserError(f"filters: '{name}' holds {kind}, and {wanted!r:.60} is none of that.") from None
            passes &= np.asarray(right)
        return passes[self._owners]

    def hits(self, ranking: Ranking) -> list[dict[str, Any]]:
        """What was found as people get it: each document's columns, its best passage and its score."""
        rows = self.index.documents.take(pa.array(ranking.documents)).to_pylist()
        found = []
        for row, score, passage in zip(rows, ranking.scores.tolist(), ranking.passages.tolist(), strict=True):
            others = {name: value for name, value in row.items() if name not in (ID, TITLE, TEXT)}
            own = {ID: row[ID], TITLE: row[TITLE], "passage": self.index.passage(passage), "score": round(score, 6)}
            found.append({**own, **others})
        return found
