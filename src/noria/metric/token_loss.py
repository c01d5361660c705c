"""The loss of a token, of rows that have many."""

from __future__ import annotations

from typing import ClassVar

from noria.metric.counted_loss import CountedLoss


class TokenLoss(CountedLoss):
    """The mean loss over all targets, in nats; its interval resamples rows, for a row's tokens are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "tokens": ("count",)}
    counted = "tokens"
    unit = "nats per token"
