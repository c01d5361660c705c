"""A label, several labels or a number for a text or a pair of texts. Knows not where the texts come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.metric.base import Metric
from noria.task.base import Task
from noria.task.text_classification.objective import Objective, balanced_weights

NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class TextClassification(Task):
    """Fine-tunes a sequence classifier.

    Args:
        train_labels: those of all training examples, for `class_weights=balanced`.
        num_labels: the width of the head.
        kind: `single_label`, `multi_label` or `regression`.
        label_smoothing: moves that much probability from the label to all classes alike.
        class_weights: one weight a class, in the order of the labels, or `balanced`.

    Raises:
        UserError: not as many weights as classes.
    """

    form = "noria.task.text_classification.form.TextClassificationForm"
    architectures = ("encoder", "decoder", "both")

    def __init__(
        self,
        network: nn.Module,
        make_optimizer: Callable[[nn.Module], Optimizer],
        make_scheduler: Callable[[Optimizer, int], LRScheduler],
        metrics: Mapping[str, Metric],
        total_steps: int,
        train_labels: Tensor,
        num_labels: int,
        *,
        kind: Literal["single_label", "multi_label", "regression"] = "single_label",
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        class_weights: list[Annotated[float, Ge(0)]] | Literal["balanced"] | None = None,
    ) -> None:
        super().__init__(network, make_optimizer, make_scheduler, metrics, total_steps)
        weights = None
        if class_weights == "balanced":
            weights = balanced_weights(kind, train_labels, num_labels)
        elif class_weights is not None:
            if len(class_weights) != num_labels:
                raise UserError(
                    f"task.class_weights gives {len(class_weights)} weights for {num_labels} labels: give one a label."
                )
            weights = torch.tensor(class_weights, dtype=torch.float32)
        self.objective = Objective(kind, weights, label_smoothing)

    def step(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits = self.network(**{key: batch[key] for key in NETWORK_INPUTS if key in batch}).logits
        losses, weights = self.objective.losses(logits, batch["labels"])
        return self.objective.scores(logits.detach()), batch["labels"], losses, weights

    def row_weights(self, rows: Encoded) -> np.ndarray:
        assert rows.labels is not None
        return self.objective.weights(torch.from_numpy(rows.labels)).numpy()
