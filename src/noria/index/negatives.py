"""Documents that are near to a query and wrong for it. Knows no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from noria.index.dense import Dense

STEP = 256  # queries at a time


def hard_negatives(
    queries: Sequence[str],
    documents: Sequence[str],
    asked: np.ndarray,
    made: np.ndarray,
    count: int,
    margin: float,
    depth: int,
) -> Iterator[dict[str, Any]]:
    """Pairs with `count` negatives each, as `stage=mine` says; those with fewer are left out.

    Right for a query are the documents of all of its pairs, and its own text is none.

    Args:
        asked, made: (pairs, width), the vectors of the queries and of the documents.
    """
    different = list(dict.fromkeys(documents))
    first = {text: row for row, text in reversed(list(enumerate(documents)))}
    dense = Dense.build(made[[first[text] for text in different]], "fp32")
    right: dict[str, set[str]] = {}
    for query, document in zip(queries, documents, strict=True):
        right.setdefault(query, {query}).add(document)
    for start in range(0, len(queries), STEP):
        numbers, scores = dense.nearest(asked[start : start + STEP], depth)
        own = (asked[start : start + STEP] * made[start : start + STEP]).sum(1)
        for place, (row, found) in enumerate(zip(numbers, scores, strict=True)):
            query, document = queries[start + place], documents[start + place]
            limit = own[place] - (1 - margin) * abs(own[place])
            near = [different[number] for number, score in zip(row, found, strict=True) if score < limit]
            negatives = [text for text in near if text not in right[query]][:count]
            if len(negatives) == count:
                yield {"query": query, "document": document, "negatives": negatives}
