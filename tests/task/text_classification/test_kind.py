"""The classifier's own part: which tensors the network is given, and how the weights of the classes are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from noria.common.errors import UserError
from noria.task.text_classification.kind import TextClassification


@pytest.fixture
def build(bag: Callable[[int], torch.nn.Module]) -> Callable[..., TextClassification]:
    def built(train_labels: torch.Tensor, num_labels: int = 3, **options: Any) -> TextClassification:
        nothing: Any = None  # no optimizer, no schedule: one step needs neither
        return TextClassification(bag(num_labels), nothing, nothing, {}, 1, train_labels, num_labels, **options)

    return built


def test_a_step(build: Callable[..., TextClassification], rows: dict[str, torch.Tensor]) -> None:
    task = build(rows["labels"], label_smoothing=0.1)
    scores, labels, losses, weights = task.step(rows)
    assert scores.shape == (53, 3) and losses.shape == weights.shape == (53,)
    assert torch.equal(labels, rows["labels"])
    assert not scores.requires_grad and losses.requires_grad
    assert task.network.given == {"input_ids", "attention_mask"}
    task.step({**rows, "token_type_ids": torch.zeros_like(rows["input_ids"])})
    assert task.network.given == {"input_ids", "attention_mask", "token_type_ids"}
    assert task.objective.label_smoothing == 0.1


def test_a_regression_step(build: Callable[..., TextClassification], rows: dict[str, torch.Tensor]) -> None:
    values = torch.linspace(0, 1, 53)
    scores, _, losses, weights = build(values, 1, kind="regression").step({**rows, "labels": values})
    assert scores.shape == losses.shape == weights.shape == (53,)
    assert torch.equal(losses, (scores - values) ** 2)


def test_the_weights_of_the_classes(build: Callable[..., TextClassification]) -> None:
    labels = torch.tensor([0, 0, 1, 2])
    assert build(labels).objective.class_weights is None
    assert build(labels, class_weights=[1.0, 2.0, 0.5]).objective.class_weights.tolist() == [1.0, 2.0, 0.5]
    balanced = build(labels, class_weights="balanced").objective.class_weights
    assert balanced.tolist() == pytest.approx([4 / 6, 4 / 3, 4 / 3])


def test_one_weight_too_few_is_the_users_mistake(build: Callable[..., TextClassification]) -> None:
    with pytest.raises(UserError, match=r"task\.class_weights gives 2 weights for 3 labels"):
        build(torch.tensor([0, 1, 2]), class_weights=[1.0, 2.0])
