"""Ranks of documents, held against counting them one by one."""

from __future__ import annotations

import numpy as np

from noria.metric.answers import Answers, objects
from noria.metric.mrr import MRR
from noria.task.text_embedding.encoded import NO_TEXT
from noria.task.text_embedding.ranking import ranked


def vectors(rows: int, parts: int, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(rows, parts, 6)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def test_they_are_counted_right() -> None:
    rng = np.random.default_rng(1)
    texts = np.stack([rng.integers(0, 20, 60), rng.integers(100, 130, 60), rng.integers(120, 150, 60)], axis=1)
    texts[:5, 1] = np.arange(5)  # documents that are queries, too
    by_text = {
        int(text): one for text, one in zip(np.unique(texts), vectors(len(np.unique(texts)), 1)[:, 0], strict=True)
    }
    made = np.stack([[by_text[int(text)] for text in row] for row in texts])
    found = ranked(made, texts, 0.1)
    documents = sorted({*texts[:, 1:].ravel().tolist()})
    for row, (query, own, _) in enumerate(texts.tolist()):
        right = sorted({b for a, b, _ in texts.tolist() if a == query} - {query})
        scores = {one: float(by_text[query] @ by_text[one]) for one in documents if one != query}
        above = [sum(score > scores[one] + 1e-6 for score in scores.values()) for one in right]
        assert found.above[row] == above and found.grades[row] == [1.0] * len(right)
        assert found.tied[row] == [sum(abs(score - scores[one]) <= 1e-6 for score in scores.values()) for one in right]
        if own != query:
            logits = [scores[one] / 0.1 for one in scores if one == own or one not in right]
            assert np.isclose(found.loss[row], np.log(np.exp(logits).sum()) - scores[own] / 0.1, rtol=1e-5)


def test_what_fills_the_place_of_a_negative_is_no_document() -> None:
    made, texts = vectors(20, 4), np.arange(80).reshape(20, 4)
    texts[5:, 3] = NO_TEXT
    texts[:, 2] = texts[0, 2]
    made[:, 2] = made[0, 2]  # the same wrong document in every row
    same, twice = made.copy(), texts.copy()
    same[5:, 3], twice[5:, 3] = made[0, 2], texts[0, 2]
    few, wanted = ranked(made, texts, 0.1), ranked(same, twice, 0.1)
    assert few.above == wanted.above and np.allclose(few.loss, wanted.loss)


def test_vectors_that_are_all_alike_get_no_credit() -> None:
    made = np.repeat(vectors(1, 1), 40, axis=0).repeat(2, axis=1)
    found = ranked(made, np.arange(80).reshape(40, 2), 0.05)
    columns = {name: objects(getattr(found, name)) for name in ("grades", "above", "tied")}
    wanted = sum(1 / rank for rank in range(1, 11)) / 40
    assert np.isclose(MRR(k=10)(Answers(columns)), wanted)
