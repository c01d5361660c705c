"""A language model's loss by the bytes of the text: no tokenizer decides it."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from noria.metric.answers import Answers
from noria.metric.base import Metric, ratio


class BitsPerByte(Metric):
    """sum(losses) / ln 2 / sum(bytes), as EleutherAI's lm-evaluation-harness defines it; over what is text.

    Bytes are those in UTF-8. NaN where there is no text.
    """

    reads: ClassVar[dict[str, tuple[str, ...]]] = {"text_loss": ("number",), "bytes": ("count",)}
    mode = "min"
    unit = "bits per byte"

    def features(self, answers: Answers) -> np.ndarray:
        return np.stack([answers["text_loss"] / math.log(2), answers["bytes"].astype(np.float64)], axis=1)

    def value(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums)
