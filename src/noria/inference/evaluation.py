"""What was measured on one split: numbers with intervals, and a line for every answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from noria.inference.baselines import Baseline
from noria.statistics.estimate import Estimate


@dataclass(frozen=True)
class Evaluation:
    """What was measured on one split.

    Args:
        estimates: by name (`loss`, `accuracy` …), each with its interval.
        predictions: one line an answer: id, key, split, and the columns of the form (`Form.decide`). Where a row was
            cut into pieces, each of them has an id that ends in #1, #2, …. `key` is the hash that tells texts apart
            (`data/rows/split.py`): by it another run's training rows are found among these. The schema's metadata
            names the form.
        baselines: where texts were generated, what trivial answers have (`copy`, `lead` …), by metric.
    """

    split: str
    estimates: dict[str, Estimate]
    predictions: pa.Table
    baselines: dict[str, dict[str, Baseline]] = field(default_factory=dict)
