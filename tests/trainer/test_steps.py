"""The steps that are counted before a run are those that Lightning makes."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

from noria.common.errors import UserError
from noria.trainer.steps import refuse_empty, total_steps


class Step(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.expected = -1

    def training_step(self, batch: torch.Tensor, batch_index: int) -> torch.Tensor:
        return (self.weight - batch).pow(2).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.expected = int(self.trainer.estimated_stepping_batches)
        return torch.optim.SGD(self.parameters(), lr=0.01)


TABLE: list[tuple[int, dict[str, Any]]] = [
    (10, {"max_epochs": 1}),
    (10, {"max_epochs": 3}),
    (1, {"max_epochs": 2, "accumulate_grad_batches": 4}),
    (10, {"max_epochs": 2, "accumulate_grad_batches": 3}),
    (12, {"max_epochs": 2, "accumulate_grad_batches": 3}),
    (10, {"max_epochs": 3, "max_steps": 7}),
    (10, {"max_epochs": 1, "max_steps": 70}),
    (10, {"max_epochs": -1, "max_steps": 23}),
    (10, {"max_epochs": -1, "max_steps": 9, "accumulate_grad_batches": 4}),
    (10, {"max_epochs": 2, "limit_train_batches": 4}),
    (10, {"max_epochs": 2, "limit_train_batches": 40}),
    (10, {"max_epochs": 2, "limit_train_batches": 0.5}),
    (10, {"max_epochs": 2, "limit_train_batches": 0.25}),
    (10, {"max_epochs": 2, "limit_train_batches": 1.0}),
    (10, {"max_epochs": 2, "limit_train_batches": 1}),
    (7, {"max_epochs": 3, "limit_train_batches": 0.9, "accumulate_grad_batches": 4}),
    (10, {"max_epochs": 3, "limit_train_batches": 5, "accumulate_grad_batches": 2, "max_steps": 8}),
]


@pytest.mark.parametrize(("batches", "settings"), TABLE)
def test_lightning_counts_and_makes_as_many(batches: int, settings: dict[str, Any]) -> None:
    trainer = pl.Trainer(
        **settings,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    module = Step()
    trainer.fit(module, DataLoader(torch.ones(batches, 1), batch_size=1))
    assert total_steps(batches, **settings) == module.expected == trainer.global_step > 0


def test_no_step_to_train_is_refused() -> None:
    steps = total_steps(10, max_epochs=2, limit_train_batches=0.05)
    assert steps == 0
    with pytest.raises(UserError, match=r"not one training step: an epoch has 10 batches.*limit_train_batches"):
        refuse_empty(steps, 10, 5, 0.05, 1.0, 1.0)


@pytest.mark.parametrize(
    ("val", "limit_val", "interval", "words"),
    [
        (5, 0.1, 1.0, r"limit_val_batches=0\.1 of 5 batches is less than one"),
        (5, 1.0, 11, r"val_check_interval=11, but an epoch has 10 batches"),
    ],
)
def test_limits_that_leave_nothing_to_validate_on(val: int, limit_val: float, interval: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        refuse_empty(10, 10, val, 1.0, limit_val, interval)


@pytest.mark.parametrize(
    ("val", "limit_val", "interval"), [(0, 1.0, 11), (5, 0, 11), (5, 1, 10), (5, 0.2, 0.5), (1, 1.0, 1)]
)
def test_limits_that_are_well(val: int, limit_val: float, interval: float) -> None:
    refuse_empty(10, 10, val, 1.0, limit_val, interval)
