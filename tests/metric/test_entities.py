"""Entity metrics are those of seqeval, strict and as conlleval has them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from seqeval import metrics as seqeval
from seqeval.scheme import IOB2

from noria.metric.answers import Answers
from noria.metric.conlleval_f1 import ConllevalF1
from noria.metric.entity_f1 import EntityF1
from noria.metric.entity_precision import EntityPrecision
from noria.metric.entity_recall import EntityRecall
from noria.metric.token_accuracy import TokenAccuracy
from noria.metric.word_loss import WordLoss

LABELS = ("O", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-PER", "I-PER")
METRICS = {"f1_score": EntityF1, "precision_score": EntityPrecision, "recall_score": EntityRecall}


def column(rows: list[list[str]]) -> np.ndarray:
    made = np.empty(len(rows), object)
    made[:] = rows
    return made


def drawn(seed: int, rows: int = 40) -> tuple[list[list[str]], list[list[str]]]:
    """Any tags, also those that cannot stand where they do; half of what is said is right."""
    rng = np.random.default_rng(seed)
    true = [list(rng.choice(LABELS, rng.integers(1, 12))) for _ in range(rows)]
    said = [[tag if rng.random() < 0.6 else str(rng.choice(LABELS)) for tag in row] for row in true]
    return true, said


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_strict_entities_are_seqevals(name: str, average: str, seed: int) -> None:
    true, said = drawn(seed)
    wanted = getattr(seqeval, name)(true, said, mode="strict", scheme=IOB2, average=average)
    found = METRICS[name](average=average)(Answers({"label": column(true), "prediction": column(said)}, LABELS))
    assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_lenient_entities_are_conllevals(seed: int) -> None:
    true, said = drawn(seed)
    answers = Answers({"label": column(true), "prediction": column(said)}, LABELS)
    assert ConllevalF1()(answers) == pytest.approx(seqeval.f1_score(true, said), abs=1e-12)
    report: Any = seqeval.classification_report(true, said, output_dict=True)
    for kind in ("LOC", "ORG", "PER"):
        assert ConllevalF1(average=kind)(answers) == pytest.approx(report[kind]["f1-score"], abs=1e-12)
    assert TokenAccuracy()(answers) == pytest.approx(seqeval.accuracy_score(true, said), abs=1e-12)


def test_nothing_found_and_nothing_there() -> None:
    none = Answers({"label": column([["O"], ["O", "O"]]), "prediction": column([["O"], ["O", "O"]])}, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(made(average=how)(none) == 0 for made in METRICS.values() for how in ("micro", "macro"))
    plain = Answers({"label": column([["NN"]]), "prediction": column([["NN"]])}, ("NN", "VB"))
    assert "no entities" in EntityF1().undefined(plain) and not EntityF1().undefined(none)


def test_an_interval_over_texts() -> None:
    true, said = drawn(0, 200)
    answers = Answers({"label": column(true), "prediction": column(said)}, LABELS)
    found = EntityF1().estimate(answers)
    assert found.low < found.value < found.high and found.n == 200
    loss = Answers({"loss": np.array([1.0, 3.0]), "words": np.array([3, 1])})
    assert WordLoss()(loss) == 1.5
