"""What trivial answers reach on the same rows, and by how much a model's are better. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noria.metric.answers import Answers, objects
from noria.metric.base import Metric
from noria.metric.references import REFERENCE, RESPONSE
from noria.statistics.estimate import Estimate
from noria.statistics.paired import bootstrap_difference
from noria.statistics.resample import example_counts

RESAMPLES = 1000


@dataclass(frozen=True)
class Baseline:
    """Of one metric: what the trivial answers have, and the model's value minus that, on the same resamples."""

    value: Estimate
    difference: Estimate

    def as_dict(self) -> dict[str, Any]:
        return {**self.value.as_dict(), "difference": self.difference.as_dict()}


def beside(
    answers: Answers, trivial: Mapping[str, Sequence[str]], metrics: Mapping[str, Metric]
) -> dict[str, dict[str, Baseline]]:
    """For each kind of trivial answers (n,) and each metric of texts how they compare with the model's."""
    counts = example_counts(answers.rows, RESAMPLES, 0)
    found: dict[str, dict[str, Baseline]] = {}
    read = {name: metric for name, metric in metrics.items() if RESPONSE in metric.reads}
    ours = {name: metric.features(answers) for name, metric in read.items()}
    for kind, texts in trivial.items():
        theirs = Answers({REFERENCE: answers[REFERENCE], RESPONSE: objects(texts)})
        found[kind] = {
            name: Baseline(
                metric.estimate(theirs),
                bootstrap_difference(ours[name], metric.features(theirs), metric.value, counts),
            )
            for name, metric in read.items()
        }
    return found
