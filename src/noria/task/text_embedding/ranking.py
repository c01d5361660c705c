"""Where the right documents of queries stand among all documents, by the nearness of vectors. Knows no text."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from noria.task.text_embedding.encoded import NO_TEXT

STEP = 256  # queries at a time: one matrix of scores is held
NOISE = 1e-6  # of a sum in fp32: documents whose cosines differ by less are equally near


class Ranks(NamedTuple):
    """Of each query its right documents, as `noria.metric.ranks` reads them, and its loss.

    Args:
        grades, above, tied: lists of numbers.
        loss: (queries,), the cross-entropy of its own document among all that are not right for it (`losses.in_batch`).
    """

    grades: list[list[float]]
    above: list[list[float]]
    tied: list[list[int]]
    loss: np.ndarray


def ranked(vectors: np.ndarray, texts: np.ndarray, temperature: float) -> Ranks:
    """The ranks of the right documents of all queries, among all different documents of the rows.

    Right for a query are the documents that stand beside it in any row. A query that stands among the documents is left
    out of its own results.

    Args:
        vectors: (rows, 2 + negatives, width): queries, their documents, and wrong ones.
        texts: (rows, 2 + negatives), the number of each text; `NO_TEXT` where there is none.
    """
    ids, first = np.unique(texts[:, 1:], return_index=True)
    ids, first = ids[ids != NO_TEXT], first[ids != NO_TEXT]
    documents = vectors[:, 1:].reshape(-1, vectors.shape[-1])[first]
    queries, of_query = np.unique(texts[:, 0], return_inverse=True)
    pairs = np.unique(np.stack([of_query, np.searchsorted(ids, texts[:, 1])], axis=1), axis=0)
    borders = np.searchsorted(pairs[:, 0], np.arange(len(queries) + 1))
    right = [pairs[a:b, 1] for a, b in pairwise(borders)]
    found = Ranks([], [], [], np.zeros(len(texts)))
    for start in range(0, len(texts), STEP):
        scores = vectors[start : start + STEP, 0] @ documents.T
        for place, row in enumerate(scores, start):
            own, relevant = np.searchsorted(ids, texts[place, 1]), right[of_query[place]]
            row[ids == texts[place, 0]] = -np.inf
            wanted = row[relevant]
            ordered = np.sort(row)
            above = len(row) - np.searchsorted(ordered, wanted + NOISE, side="right")
            tied = len(row) - above - np.searchsorted(ordered, wanted - NOISE, side="left")
            there = np.isfinite(wanted)
            found.grades.append([1.0] * int(there.sum()))
            found.above.append(above[there].astype(float).tolist())
            found.tied.append(tied[there].tolist())
            logits = np.delete(row, relevant[relevant != own]).astype(np.float64) / temperature
            mine = float(row[own]) / temperature
            high = max(logits.max(), mine) if np.isfinite(mine) else 0.0
            found.loss[place] = high + np.log(np.exp(logits - high).sum()) - mine if np.isfinite(mine) else 0.0
    return found
