"""Trivial answers beside a model's: their numbers, and how much better the model's are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from noria.inference.baselines import beside
from noria.metric.answers import Answers
from noria.metric.bleu import Bleu
from noria.metric.rouge import Rouge
from noria.metric.token_loss import TokenLoss


def column(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), object)
    made[:] = values
    return made


def test_they_are_measured_on_the_same_rows_and_resamples() -> None:
    true = [[f"dogs run {number} times here", "they run"] for number in range(40)]
    good = Answers({"response": column([texts[0] for texts in true]), "reference": column(true)})
    metrics = {"rouge1": Rouge(variant="rouge1"), "bleu": Bleu(), "loss": TokenLoss()}
    trivial = {"copy": ["dogs bark"] * 40, "same": [texts[0] for texts in true]}
    found = beside(good, trivial, metrics)
    assert {kind: [*each] for kind, each in found.items()} == {"copy": ["rouge1", "bleu"], "same": ["rouge1", "bleu"]}
    copied = found["copy"]["rouge1"]
    expected = Rouge(variant="rouge1")(Answers({"response": column(trivial["copy"]), "reference": column(true)}))
    assert copied.value.value == pytest.approx(expected)
    assert copied.difference.value == pytest.approx(1 - expected) and copied.difference.low > 0
    assert copied.as_dict()["difference"]["method"].startswith("paired bootstrap")
    same = found["same"]["bleu"].difference
    assert (same.value, same.low, same.high) == (0, 0, 0)
