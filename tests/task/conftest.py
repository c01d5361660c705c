"""A network of a few numbers, its batches, and a Trainer that shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as pl
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from noria.data.batch.encoded import Encoded
from noria.data.batch.tokens import Tokens

Batches = DataLoader[dict[str, Tensor]]


class Bag(nn.Module):
    """The mean of the tokens' vectors, times a matrix: logits (batch, labels)."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embeddings = nn.Embedding(50, 8)
        self.head = nn.Linear(8, labels)
        self.given: set[str] = set()

    def forward(self, **inputs: Tensor) -> Any:
        self.given = set(inputs)
        mask = inputs["attention_mask"].unsqueeze(-1)
        mean = (self.embeddings(inputs["input_ids"]) * mask).sum(1) / mask.sum(1)
        return SimpleNamespace(logits=self.head(mean))


@pytest.fixture
def bag() -> Callable[[int], Bag]:
    """bag(labels): always the same weights."""
    return Bag


@pytest.fixture
def cut() -> Callable[..., Batches]:
    """cut(rows, size, weights, accumulate): a table of rows (name -> tensor) as a loader of batches of `size`, the
    last one shorter, each with the weight of its optimiser step; `weights` are those of the labels."""

    def batches(rows: dict[str, Tensor], size: int, weights: Tensor | None = None, accumulate: int = 1) -> Batches:
        count = len(rows["labels"])
        made = [{name: t[start : start + size] for name, t in rows.items()} for start in range(0, count, size)]
        each = torch.ones(count) if weights is None else weights[rows["labels"]]
        for place, batch in enumerate(made):
            start = place // accumulate * accumulate * size
            batch["step_weight"] = each[start : start + accumulate * size].sum()
        return DataLoader(made, batch_size=None)  # type: ignore[arg-type]

    return batches


@pytest.fixture
def rows() -> dict[str, Tensor]:
    """53 rows of up to nine tokens, and three classes that are not equally frequent."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 10, (53, 1), generator=generator)
    return {
        "input_ids": torch.randint(0, 50, (53, 9), generator=generator),
        "attention_mask": (torch.arange(9) < lengths).long(),
        "labels": torch.randint(0, 10, (53,), generator=generator).clamp(max=2),
        "index": torch.arange(53),
    }


@pytest.fixture
def examples() -> Callable[[dict[str, Tensor]], Encoded]:
    """The rows of a table as the learner is told of them: what they hold is in the batches."""

    def made(rows: dict[str, Tensor]) -> Encoded:
        ids = pa.array([[0]] * len(rows["labels"]), pa.list_(pa.int32()))
        truncated = pa.array([False] * len(rows["labels"]))
        return Encoded(Tokens([pa.record_batch({"input_ids": ids, "truncated": truncated})]), rows["labels"].numpy(), 0)

    return made


@pytest.fixture
def trainer() -> Callable[..., pl.Trainer]:
    """trainer(**options): on the CPU, without a word, a file or a logger."""

    def made(**options: Any) -> pl.Trainer:
        quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        return pl.Trainer(
            **{"accelerator": "cpu", "max_epochs": 1, "enable_checkpointing": False, **quiet, **options},
            num_sanity_val_steps=0,
        )

    return made
