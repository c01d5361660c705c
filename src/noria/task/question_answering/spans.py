"""The likeliest spans of a passage, out of what a network says of the tokens of its windows. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Found(NamedTuple):
    """What may be the answer: characters of the passage, or nothing, which is (0, 0).

    `score` is its share among all that was found, a softmax over sums of two logits as in SQuAD's baselines (Devlin et
    al. 2019, section 4.2).
    """

    start: int
    end: int
    score: float

    @property
    def nothing(self) -> bool:
        return self.end == 0


class Window(NamedTuple):
    """What a network says of a window.

    Args:
        logits: (tokens, 2), of the passage's tokens alone: that an answer begins there, and that it ends there.
        places: (tokens, 2), where each of them begins and ends in the passage, in characters.
        nothing: (2,), the same logits of there being no answer.
    """

    logits: np.ndarray
    places: np.ndarray
    nothing: np.ndarray


def best_spans(passage: str, windows: Sequence[Window], count: int, longest: int, no_answer: bool) -> list[Found]:
    """The `count` likeliest answers over all windows, the best first; no span is among them twice.

    A span has no blanks at its ends. With `no_answer` there being none is one of them, with the lowest score of any
    window: one that sees an answer is right against those that see none. Without it nothing is found in a passage that
    has no tokens.

    Args:
        longest: tokens of a span at most.
    """
    found: dict[tuple[int, int], float] = {}
    for window in windows:
        for first, last, score in _best_tokens(window.logits.astype(np.float64), count, longest):
            if span := _trimmed(passage, int(window.places[first, 0]), int(window.places[last, 1])):
                found[span] = max(found.get(span, -np.inf), score)
    if no_answer:
        found[0, 0] = min(float(window.nothing.sum()) for window in windows)
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    kept = [item for place, item in enumerate(ranked) if place < count or item[0] == (0, 0)]
    if not kept:
        return []
    scores = np.array([score for _, score in kept])
    shares = np.exp(scores - scores.max())
    return [Found(*span, float(share)) for (span, _), share in zip(kept, shares / shares.sum(), strict=True)]


def answered_first(found: Sequence[Found], threshold: float) -> list[Found]:
    """The answers with the one that is given in front: none only where its score, a sum of two logits, is by more than
    `threshold` above the best span's."""
    none = next((one for one in found if one.nothing), None)
    span = next((one for one in found if not one.nothing), None)
    if none is None or span is None:
        return list(found)
    tiny = np.finfo(float).tiny
    gap = np.log(max(none.score, tiny)) - np.log(max(span.score, tiny))
    first = none if gap > threshold else span
    return [first, *(one for one in found if one is not first)]


def _best_tokens(logits: np.ndarray, count: int, longest: int) -> list[tuple[int, int, float]]:
    """The first and the last token of the spans with the highest scores of one window, in no order."""
    if not len(logits):
        return []
    ends = sliding_window_view(np.append(logits[:, 1], np.full(longest - 1, -np.inf)), longest)  # (tokens, longest)
    scores = (logits[:, :1] + ends).ravel()
    best = np.argpartition(-scores, min(count, len(scores)) - 1)[:count]
    return [(at // longest, at // longest + at % longest, float(scores[at])) for at in best if np.isfinite(scores[at])]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without blanks at its ends; None where nothing else is in it."""
    inside = text[start:end]
    if not (bare := inside.strip()):
        return None
    start += len(inside) - len(inside.lstrip())
    return start, start + len(bare)
