"""The classifier's own part: which tensors the network is given, and how the weights of the classes are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from noria.common.errors import UserError
from noria.task.text_classification.kind import TextClassification


@pytest.fixture
def build(examples: Callable[..., Any]) -> Callable[..., TextClassification]:
    def built(train_labels: torch.Tensor, num_labels: int = 3, **options: Any) -> TextClassification:
        kind = TextClassification(**options)
        kind.form.labels = list(map(str, range(num_labels)))
        kind.settle(examples({"labels": train_labels}))
        return kind

    return built


def test_a_step(
    build: Callable[..., TextClassification], bag: Callable[[int], Any], rows: dict[str, torch.Tensor]
) -> None:
    kind, network = build(rows["labels"], label_smoothing=0.1), bag(3)
    made = kind.forward(network, rows)
    losses, weights = kind.losses(made, rows)
    assert made.shape == (53, 3) and losses.shape == weights.shape == (53,) and losses.requires_grad
    assert network.given == {"input_ids", "attention_mask"}
    kind.forward(network, {**rows, "token_type_ids": torch.zeros_like(rows["input_ids"])})
    assert network.given == {"input_ids", "attention_mask", "token_type_ids"}
    plain = torch.nn.functional.cross_entropy(made, rows["labels"], reduction="none")
    found = kind.outputs(made, rows)
    torch.testing.assert_close(torch.from_numpy(found["scores"]), made.detach().softmax(-1))
    torch.testing.assert_close(torch.from_numpy(found["loss"]), plain.detach())
    assert not torch.allclose(losses, plain), "what is learnt from is smoothed, what is measured is not"


def test_a_regression_step(
    build: Callable[..., TextClassification], bag: Callable[[int], Any], rows: dict[str, torch.Tensor]
) -> None:
    values = torch.linspace(0, 1, 53)
    kind, batch = build(values, 1, kind="regression"), {**rows, "labels": values}
    made = kind.forward(bag(1), batch)
    losses, weights = kind.losses(made, batch)
    assert made.shape == (53, 1) and losses.shape == weights.shape == (53,)
    assert torch.equal(losses, (made[:, 0] - values) ** 2)


def test_the_weights_of_the_classes(build: Callable[..., TextClassification]) -> None:
    labels = torch.tensor([0, 0, 1, 2])
    assert build(labels).objective.class_weights is None
    assert build(labels, class_weights=[1.0, 2.0, 0.5]).objective.class_weights.tolist() == [1.0, 2.0, 0.5]
    balanced = build(labels, class_weights="balanced").objective.class_weights
    assert balanced.tolist() == pytest.approx([4 / 6, 4 / 3, 4 / 3])


def test_one_weight_too_few_is_the_users_mistake(build: Callable[..., TextClassification]) -> None:
    with pytest.raises(UserError, match=r"task\.class_weights gives 2 weights for 3 labels"):
        build(torch.tensor([0, 1, 2]), class_weights=[1.0, 2.0])
