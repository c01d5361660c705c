"""A straight line to fit, in batches that look like texts: everything about a step can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from noria.model.counts import Counts, counts_of_mask

# Tokens of each text, in two batches of three and one of two.
LENGTHS = [[3, 1, 4], [2, 2, 2], [5, 1]]


class Line(pl.LightningModule):
    """value = weight * tokens; the loss is the mean square, its gradient 2 * mean((w * x - y) * x)."""

    def __init__(self, lr: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5]))
        self.offset = nn.Parameter(torch.tensor([0.0]))
        self.lr = lr

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        tokens = batch["attention_mask"].sum(1).float()
        loss = ((self.weight * tokens + self.offset - batch["labels"]) ** 2).mean()
        self.log("train/loss", loss.detach())
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        self.log("val/score", -self.weight.detach().abs().squeeze(), batch_size=1)

    def counts(self, batch: dict[str, Tensor]) -> Counts:
        return counts_of_mask(batch["attention_mask"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD([{"params": [self.weight]}, {"params": [self.offset], "lr": self.lr / 10}], self.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@pytest.fixture
def line() -> Callable[..., Line]:
    """line(lr)."""
    return lambda lr=0.01: Line(lr)


@pytest.fixture
def batches() -> DataLoader[dict[str, Tensor]]:
    """Three batches of texts of known lengths; each text's label is its length."""
    made = []
    for lengths in LENGTHS:
        counts = torch.tensor(lengths)
        mask = (torch.arange(max(lengths)) < counts[:, None]).long()
        made.append({"attention_mask": mask, "labels": counts.float()})
    # a generator of its own, as Noria's loader has: making an iterator draws nothing from the global one
    return DataLoader(made, batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]


@pytest.fixture
def train(line: Callable[..., Line], batches: DataLoader[dict[str, Tensor]]) -> Callable[..., tuple[pl.Trainer, Line]]:
    """train(*callbacks, lr=…, **trainer options): fits the line; gives the Trainer and the module."""

    def trained(*callbacks: pl.Callback, lr: float = 0.01, **options: Any) -> tuple[pl.Trainer, Line]:
        defaults: dict[str, Any] = {"accelerator": "cpu", "max_epochs": 1, "logger": False, "log_every_n_steps": 1}
        quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False}
        checkpoints = any(isinstance(callback, pl.callbacks.Checkpoint) for callback in callbacks)
        trainer = pl.Trainer(
            **{**defaults, **quiet, **options},
            callbacks=list(callbacks),
            enable_checkpointing=checkpoints,
            num_sanity_val_steps=0,
        )
        module = line(lr)
        trainer.fit(module, batches, batches)
        return trainer, module

    return trained
