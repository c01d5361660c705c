"""The loss of a window, of rows that are read in one window or in several."""

from __future__ import annotations

from typing import ClassVar

from noria.metric.counted_loss import CountedLoss


class WindowLoss(CountedLoss):
    """The mean loss over all windows, in nats; its interval resamples rows, whose windows are not independent."""

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"loss": ("number",), "windows": ("count",)}
    counted = "windows"
    unit = "nats per window"
