"""When there is reason to train."""

from __future__ import annotations

import random

from noria.cycle.reasons import Thresholds, reasons, worth_training

LIMITS = Thresholds(rows=100, error=0.1, alpha=0.001)
KNOWN = [("a film of some length " * 2, ("good", "bad")[n % 2]) for n in range(400)]


def test_it_takes_rows_and_errors() -> None:
    assert worth_training(reasons(200, 60, 200, [], [], LIMITS))
    assert not worth_training(reasons(50, 25, 50, [], [], LIMITS)), "too few rows"
    assert not worth_training(reasons(200, 22, 200, [], [], LIMITS)), "11 % of 200 is not shown to exceed 10 %"
    assert not worth_training(reasons(0, 0, 0, [], [], LIMITS))


def test_drift_of_inputs_is_seen_and_the_same_texts_are_not_drift() -> None:
    rng = random.Random(0)
    short = [("x" * rng.randint(10, 60), rng.choice(["good", "bad"])) for _ in range(300)]
    same = [("x" * rng.randint(10, 60), rng.choice(["good", "bad"])) for _ in range(300)]
    long = [("x" * rng.randint(200, 900), rng.choice(["good", "bad"])) for _ in range(300)]
    found = {reason.name: reason for reason in reasons(100, 0, 100, long, short, LIMITS)}
    assert found["drift of inputs"].holds and not found["drift of predictions"].holds
    assert not any(reason.holds for reason in reasons(100, 0, 100, same, short, LIMITS)[1:])


def test_drift_of_predictions_is_seen() -> None:
    served = [(text, "good") for text, _ in KNOWN]
    found = {reason.name: reason for reason in reasons(100, 0, 100, served, KNOWN, LIMITS)}
    assert found["drift of predictions"].holds and not found["drift of inputs"].holds


def test_drift_is_said_falsely_as_rarely_as_its_threshold() -> None:
    rng = random.Random(1)
    false = 0
    for _ in range(200):
        rows = [[("x" * rng.randint(10, 60), rng.choice(["good", "bad"])) for _ in range(60)] for _ in range(2)]
        false += any(reason.holds for reason in reasons(100, 0, 100, *rows, Thresholds(alpha=0.01))[2:])
    assert false <= 12  # two tests at 1 %: 4 are expected, more than 12 come once in ten thousand


def test_too_few_rows_are_not_tested_for_drift() -> None:
    assert len(reasons(100, 0, 100, KNOWN[:10], KNOWN, LIMITS)) == 2
