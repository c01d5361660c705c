"""Estimate: its text and its plain form."""

from __future__ import annotations

import json
import math

import pytest

from noria.statistics.estimate import Estimate


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.8478, 0.8261, 0.8668, "0.848 [0.826, 0.867]"),
        (0.5, 0.2, 0.8, "0.500 [0.200, 0.800]"),
        (1.0, 1.0, 1.0, "1.000 [1.000, 1.000]"),
        (0.91234, 0.91201, 0.91267, "0.91234 [0.91201, 0.91267]"),
        (1234.56, 1200.2, 1270.1, "1235 [1200, 1270]"),
        (-0.12, -0.2, 0.01, "-0.120 [-0.200, 0.010]"),
        (0.75, math.nan, math.nan, "0.750 [no interval]"),
        (math.nan, math.nan, math.nan, "nan [no interval]"),
    ],
)
def test_text(value: float, low: float, high: float, text: str) -> None:
    assert str(Estimate(value, low, high, 100, "wilson")) == text


def test_a_narrow_interval_never_prints_as_a_point() -> None:
    text = str(Estimate(2e-5, 1e-5, 3e-5, 10, "student t"))
    assert text == "0.000020 [0.000010, 0.000030]"


def test_as_dict_is_json_without_nan() -> None:
    plain = Estimate(0.5, math.nan, math.nan, 1, "wilson").as_dict()
    assert plain == {"value": 0.5, "low": None, "high": None, "n": 1, "method": "wilson", "confidence": 0.95}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        Estimate(0.5, 0.4, 0.6, 1, "wilson").value = 1.0  # type: ignore[misc]
