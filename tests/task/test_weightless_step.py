"""A step in which nothing counts changes nothing, and what it does not have is not logged."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader

from noria.metric.accuracy import Accuracy
from noria.optimizer.sgd import sgd
from noria.scheduler.linear import linear
from noria.task.learner import Learner
from noria.task.text_classification.kind import TextClassification

WEIGHTS = [0.0, 1.0, 1.0]


class Watch(Callback):
    """After each batch: the weights, and the loss that would be logged."""

    def __init__(self) -> None:
        self.weights: list[torch.Tensor] = []
        self.rates: list[float] = []
        self.epoch: list[float | None] = []

    def on_train_batch_start(self, trainer: Any, module: Any, *_: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.weights.append(module.network.head.weight.detach().clone())

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        self.epoch.append(module.train_loss())


@pytest.fixture
def task(bag: Callable[[int], torch.nn.Module], examples: Callable[..., Any], rows: Any) -> Learner:
    """Class 0 counts with nothing; momentum and weight decay would move the weights without any gradient."""
    make = partial(sgd, lr=0.1, momentum=0.9, weight_decay=0.1)
    schedule = partial(linear, warmup_steps=0.0)
    kind = TextClassification(class_weights=WEIGHTS)
    kind.form.labels = ["a", "b", "c"]
    kind.settle(examples(rows))
    return Learner(bag(3), kind, make, schedule, {"accuracy": Accuracy()}, 4, examples(rows))


def batches(rows: dict[str, torch.Tensor], labels: list[int], accumulate: int) -> DataLoader[Any]:
    """Batches of four rows, all rows of each with one label, with the weight of the step that each belongs to."""
    made = []
    for place, label in enumerate(labels):
        batch: dict[str, Any] = {name: tensor[4 * place : 4 * place + 4] for name, tensor in rows.items()}
        made.append({**batch, "labels": torch.full((4,), label)})
    each = torch.tensor([4 * WEIGHTS[label] for label in labels]).reshape(-1, accumulate).sum(1)
    for place, batch in enumerate(made):
        batch["step_weight"] = float(each[place // accumulate])
    return DataLoader(made, batch_size=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_step_without_weight_changes_nothing_and_the_schedule_goes_on(task, rows, trainer, accumulate) -> None:
    labels = [label for label in (1, 0, 2, 0) for _ in range(accumulate)]
    watch = Watch()
    one = trainer(callbacks=[watch], accumulate_grad_batches=accumulate)
    one.fit(task, batches(rows, labels, accumulate))
    first, second, third, fourth = watch.weights[accumulate - 1 :: accumulate]
    assert torch.equal(first, second) and torch.equal(third, fourth) and not torch.equal(second, third)
    assert watch.rates[::accumulate] == pytest.approx([0.1, 0.075, 0.05, 0.025])
    assert one.global_step == 4 and watch.epoch[0] is not None
    assert all(parameter.isfinite().all() for parameter in task.network.parameters())
    assert torch.isfinite(one.callback_metrics["train/loss"])


def test_rows_without_weight_in_a_step_that_counts_are_as_if_they_were_not_there(task, rows, trainer) -> None:
    """Two batches of a step, the one of which counts with nothing: the loss is the other's."""
    trainer(accumulate_grad_batches=2).fit(task, batches(rows, [1, 0], 2))
    loss = task.trainer.callback_metrics["train/loss"]
    assert torch.isfinite(loss) and task.train_loss() == pytest.approx(float(loss))


def test_an_epoch_in_which_nothing_counts_has_no_loss(task, rows, trainer) -> None:
    watch = Watch()
    one = trainer(callbacks=[watch])
    one.fit(task, batches(rows, [0, 0], 1))
    assert watch.epoch == [None] and "train/loss" not in one.callback_metrics


def test_a_validation_in_which_nothing_counts_has_no_loss_and_says_why(task, rows, trainer) -> None:
    one = trainer()
    one.fit(task, batches(rows, [1], 1), batches(rows, [0], 1))
    assert "val/loss" not in one.callback_metrics and "val/accuracy" in one.callback_metrics
    assert task.no_value == {"val/loss": "all rows of the validation set have weight 0"}
