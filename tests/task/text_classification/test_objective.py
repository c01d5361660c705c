"""Losses, weights and scores against the formulas written out."""

from __future__ import annotations

import math

import pytest
import torch

from noria.common.errors import UserError
from noria.task.text_classification.objective import Objective, balanced_weights

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 1.0, 4.0], [1.0, 1.5, -0.5]])
CLASSES = torch.tensor([0, 2, 1, 1])
SETS = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_single_label(weighted: bool, smoothing: float) -> None:
    losses, weights = Objective("single_label", WEIGHTS if weighted else None, smoothing).losses(LOGITS, CLASSES)
    for row, label, loss, weight in zip(
        LOGITS.tolist(), CLASSES.tolist(), losses.tolist(), weights.tolist(), strict=True
    ):
        nll = [-math.log(p) for p in softmax(row)]
        assert loss == pytest.approx((1 - smoothing) * nll[label] + smoothing * sum(nll) / 3, rel=1e-5)
        assert weight == (WEIGHTS[label] if weighted else 1.0)


def test_the_quotient_is_torchs_weighted_mean() -> None:
    losses, weights = Objective("single_label", WEIGHTS).losses(LOGITS, CLASSES)
    wanted = torch.nn.functional.cross_entropy(LOGITS, CLASSES, weight=WEIGHTS)
    torch.testing.assert_close((losses * weights).sum() / weights.sum(), wanted)


@pytest.mark.parametrize("weighted", [False, True])
def test_multi_label(weighted: bool) -> None:
    positive = WEIGHTS.tolist() if weighted else [1.0, 1.0, 1.0]
    losses, weights = Objective("multi_label", WEIGHTS if weighted else None).losses(LOGITS, SETS)
    assert weights.tolist() == [1.0] * 4
    for row, labels, loss in zip(LOGITS.tolist(), SETS.tolist(), losses.tolist(), strict=True):
        terms = [
            -w * y * math.log(sigmoid(z)) - (1 - y) * math.log(1 - sigmoid(z))
            for z, y, w in zip(row, labels, positive, strict=True)
        ]
        assert loss == pytest.approx(sum(terms) / 3, rel=1e-4)


def test_regression() -> None:
    values = torch.tensor([[1.0], [-2.0], [0.5]])
    losses, weights = Objective("regression").losses(values, torch.tensor([0.0, -2.0, 2.0]))
    assert losses.tolist() == [1.0, 0.0, 2.25] and weights.tolist() == [1.0, 1.0, 1.0]


def test_scores() -> None:
    for kind, function in (("single_label", softmax), ("multi_label", lambda row: [sigmoid(v) for v in row])):
        for row, scores in zip(LOGITS.tolist(), Objective(kind).scores(LOGITS).tolist(), strict=True):
            assert scores == pytest.approx(function(row), rel=1e-5)
    assert Objective("regression").scores(LOGITS[:, :1]).tolist() == LOGITS[:, 0].tolist()


@pytest.mark.parametrize("kind", ["single_label", "multi_label", "regression"])
def test_half_precision_logits_are_measured_in_fp32(kind: str) -> None:
    logits = (LOGITS[:, :1] if kind == "regression" else LOGITS).bfloat16()
    labels = {"single_label": CLASSES, "multi_label": SETS, "regression": SETS[:, 0]}[kind]
    losses, weights = Objective(kind).losses(logits, labels)
    assert losses.dtype == weights.dtype == Objective(kind).scores(logits).dtype == torch.float32
    exact, _ = Objective(kind).losses(logits.float(), labels)
    assert torch.equal(losses, exact)


class TestBalanced:
    def test_every_class_has_the_same_say(self) -> None:
        labels = torch.tensor([0] * 6 + [1] * 3 + [2])
        weights = balanced_weights("single_label", labels, 3)
        assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 10 / 3])
        shares = [float(weights[labels[labels == c]].sum()) for c in range(3)]
        assert shares == pytest.approx([10 / 3] * 3)

    def test_of_several_labels_negatives_over_positives(self) -> None:
        labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
        assert balanced_weights("multi_label", labels, 2).tolist() == pytest.approx([1 / 3, 3.0])

    @pytest.mark.parametrize(
        ("kind", "labels"),
        [("single_label", torch.tensor([0, 0, 2])), ("multi_label", torch.tensor([[1.0, 0.0, 1.0]]))],
    )
    def test_a_class_without_examples_is_refused(self, kind: str, labels: torch.Tensor) -> None:
        with pytest.raises(UserError, match=r"task\.class_weights=balanced: .*no training example"):
            balanced_weights(kind, labels, 3)

    def test_a_label_of_every_row_is_refused(self) -> None:
        with pytest.raises(UserError, match=r"task\.class_weights=balanced: a label stands in every training row"):
            balanced_weights("multi_label", torch.tensor([[1.0, 0.0], [1.0, 1.0]]), 2)


TEACHER = torch.tensor([[1.0, 0.0, -0.5], [0.5, -2.0, 0.0], [-1.0, 1.0, 2.0], [3.0, 1.5, -0.5]])


def test_the_distance_to_a_teacher_of_one_label() -> None:
    found = Objective("single_label", WEIGHTS).distances(LOGITS, TEACHER, 2.0)
    for own, teacher, distance in zip(LOGITS.tolist(), TEACHER.tolist(), found.tolist(), strict=True):
        p, q = softmax([z / 2 for z in teacher]), softmax([z / 2 for z in own])
        assert distance == pytest.approx(4 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)), rel=1e-4)


def test_the_distance_to_a_teacher_of_several_labels() -> None:
    found = Objective("multi_label").distances(LOGITS, TEACHER, 3.0)
    for own, teacher, distance in zip(LOGITS.tolist(), TEACHER.tolist(), found.tolist(), strict=True):
        each = []
        for z, t in zip(own, teacher, strict=True):
            p, q = sigmoid(t / 3), sigmoid(z / 3)
            each.append(p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
        assert distance == pytest.approx(9 * sum(each) / 3, rel=1e-4)


def test_the_distance_to_a_teacher_of_a_number() -> None:
    found = Objective("regression").distances(torch.tensor([[1.0], [-2.0]]), torch.tensor([[3.0], [-2.5]]), 2.0)
    assert found.tolist() == [4.0, 0.25]
