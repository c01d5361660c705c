"""The loss of a word, of rows that have many."""

from __future__ import annotations

from typing import ClassVar

from noria.metric.counted_loss import CountedLoss


class WordLoss(CountedLoss):
    """The mean loss over all words, in nats; its interval resamples rows, for a row's words are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "words": ("count",)}
    counted = "words"
    unit = "nats per word"
