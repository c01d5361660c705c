"""The shared step: an epoch's loss is exact whatever the batches, and so is what is measured on validation."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from noria.metric.accuracy import Accuracy
from noria.metric.f1 import F1
from noria.optimizer.sgd import sgd
from noria.scheduler.linear import linear
from noria.task.learner import Learner
from noria.task.text_classification.kind import TextClassification

WEIGHTS = [0.2, 1.0, 5.0]  # so uneven that a mean of means would be far off
CLASS_WEIGHTS = torch.tensor(WEIGHTS)


@pytest.fixture
def task(bag: Callable[[int], torch.nn.Module], examples: Callable[..., Any], rows: Any) -> Callable[..., Learner]:
    """task(lr, steps): three classes, weighted."""

    def made(lr: float = 1e-30, steps: int = 100, **options: Any) -> Learner:
        make = partial(sgd, lr=lr, momentum=0.0, weight_decay=0.0)
        metrics = {"accuracy": Accuracy(), "f1": F1()}
        schedule = partial(linear, warmup_steps=0.0)
        kind = TextClassification(**{"class_weights": WEIGHTS, **options})
        kind.form.labels = ["a", "b", "c"]
        kind.settle(examples(rows))
        return Learner(bag(3), kind, make, schedule, metrics, steps, examples(rows))

    return made


class Watch(Callback):
    """Keeps the loss of each epoch and the rate of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.losses.append(pl_module.train_loss())


def by_hand(task: Learner, rows: dict[str, torch.Tensor]) -> float:
    with torch.no_grad():
        logits = task.network(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
    return float(torch.nn.functional.cross_entropy(logits.double(), rows["labels"], torch.tensor(WEIGHTS).double()))


def test_the_loss_of_an_epoch_is_exact_for_any_batch_size(task, rows, cut, trainer) -> None:
    wanted = by_hand(task(), rows)
    means = []
    for size in (1, 7, 32, 53):
        watch = Watch()
        trainer(max_epochs=2, callbacks=[watch]).fit(task(), cut(rows, size, CLASS_WEIGHTS))
        assert watch.losses == pytest.approx([wanted, wanted], rel=1e-5), size
        batches = list(cut(rows, size))
        means.append(sum(by_hand(task(), batch) for batch in batches) / len(batches))
    assert abs(means[0] - wanted) > 0.01, "these rows would not show a mean of means"


def test_what_is_measured_on_validation_is_the_same_for_any_batch_size(task, rows, cut, trainer) -> None:
    measured = []
    for size in (1, 7, 32, 53):
        one = trainer()
        one.fit(task(), cut(rows, 32), cut(rows, size))
        measured.append({name: float(v) for name, v in one.callback_metrics.items() if name.startswith("val/")})
    assert set(measured[0]) == {"val/loss", "val/accuracy", "val/f1"}
    assert measured[0]["val/loss"] == pytest.approx(by_hand(task(), rows), rel=1e-5)
    for other in measured[1:]:
        assert other == pytest.approx(measured[0], rel=1e-6)
        assert other["val/accuracy"] == measured[0]["val/accuracy"]


def test_fillers_are_not_measured(task, rows, cut, trainer) -> None:
    """A rank that has no row left for a batch is given one all the same, to keep step with the others."""
    filler = {name: tensor[-1:] for name, tensor in rows.items()} | {"index": torch.tensor([-1])}
    more = {name: torch.cat([tensor, filler[name]]) for name, tensor in rows.items()}
    once, filled = trainer(), trainer()
    once.fit(task(), cut(rows, 32), cut(rows, 7))
    filled.fit(task(), cut(rows, 32), cut(more, 6))
    for name in ("val/loss", "val/accuracy", "val/f1"):
        assert float(filled.callback_metrics[name]) == pytest.approx(float(once.callback_metrics[name]), rel=1e-6)


def test_the_schedule_moves_once_an_optimiser_step(task, rows, cut, trainer) -> None:
    watch = Watch()
    trainer(max_epochs=2, accumulate_grad_batches=2, callbacks=[watch]).fit(task(lr=1.0, steps=8), cut(rows, 7))
    assert watch.rates == pytest.approx([1 - step / 8 for step in range(8)])


@pytest.mark.parametrize(("size", "accumulate"), [(53, 1), (16, 4), (9, 8)])
def test_a_gradient_step_is_that_of_the_weighted_mean(task, rows, cut, trainer, size, accumulate) -> None:
    """Over all micro-batches of the step, though they differ in size and weight; the logged loss too."""
    trained, one = task(lr=0.5, steps=1000), trainer(max_steps=1, accumulate_grad_batches=accumulate)
    filler = {name: tensor[:1] for name, tensor in rows.items()} | {"index": torch.tensor([-1])}
    batches = [*cut(rows, size, CLASS_WEIGHTS, accumulate)]
    if len(batches) < accumulate:  # the rest of an epoch's last step
        batches += [{**filler, "step_weight": batches[0]["step_weight"]}] * (accumulate - len(batches))
    one.fit(trained, torch.utils.data.DataLoader(batches, batch_size=None))
    reference = task().network
    logits = reference(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"]).logits
    loss = torch.nn.functional.cross_entropy(logits, rows["labels"], CLASS_WEIGHTS)
    loss.backward()
    for (name, after), before in zip(trained.network.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(after, before - 0.5 * before.grad, msg=name)
    assert float(one.callback_metrics["train/loss"]) == pytest.approx(loss.item(), rel=1e-6)


def test_no_gradient_is_held_beside_the_next_forward(task, rows, cut, trainer) -> None:
    class Held(Callback):
        def __init__(self) -> None:
            self.held: list[bool] = []

        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
            self.held.append(any(parameter.grad is not None for parameter in pl_module.parameters()))

    held = Held()
    trainer(max_epochs=1, accumulate_grad_batches=2, callbacks=[held]).fit(task(), cut(rows, 7))
    assert held.held == [True, False] * 4, "a step's gradients are summed over its two batches, then gone"


def test_the_sums_of_a_running_epoch_go_through_a_checkpoint(task, rows, cut, trainer, tmp_path) -> None:
    class Half(Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
            if trainer.global_step == 4:
                trainer.save_checkpoint(tmp_path / "half.ckpt")

    trainer(callbacks=[Half()]).fit(task(), cut(rows, 7, CLASS_WEIGHTS))
    saved = torch.load(io.BytesIO((tmp_path / "half.ckpt").read_bytes()), weights_only=True)
    resumed = task()
    resumed.on_load_checkpoint(saved)
    half = {name: tensor[:28] for name, tensor in rows.items()}
    assert resumed.train_loss() == pytest.approx(by_hand(task(), half), rel=1e-5)
