"""A kind of work that is learnt from a teacher as well: what the teacher says lies in the batches. Knows no teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded
from noria.model.counts import Counts
from noria.model.pretrained import Pretrained
from noria.task.kind import TEACHER, Batch, Kind
from noria.task.outputs import Ragged
from noria.task.whole_step import WholeStepKind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.task.wrapper.distillation import Distillation


class Taught(Kind):
    """All that a kind is, but for the loss of a batch that holds what a teacher says of it.

    Args:
        kind: what is learnt.
        how: what the teacher's part of the loss is.
    """

    def __init__(self, kind: Kind, how: Distillation) -> None:
        super().__init__()
        self.kind, self.form, self.how = kind, kind.form, how

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        return self.kind.network(pretrained, tokenizer)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        return self.kind.forward(network, batch)

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        losses, weights = self.kind.losses(made, batch)
        if not any(name.startswith(TEACHER) for name in batch):  # of validation
            return losses, weights
        distance = self.kind.distance(made, batch, self.how.temperature)
        return self.how.labels * losses + self.how.soft * distance, weights

    def outputs(self, made: Tensor, batch: Batch) -> Mapping[str, np.ndarray | Ragged]:
        return self.kind.outputs(made, batch)

    def said(self, network: nn.Module, batch: Batch) -> Mapping[str, np.ndarray]:
        return self.kind.said(network, batch)

    def weights(self, encoded: Encoded) -> np.ndarray:
        return self.kind.weights(encoded)

    def counts(self, batch: Batch) -> Counts:
        return self.kind.counts(batch)


class TaughtWholeStep(Taught, WholeStepKind):
    """The same of a kind whose loss is one of all examples of a step."""

    kind: WholeStepKind

    def __init__(self, kind: WholeStepKind, how: Distillation) -> None:
        super().__init__(kind, how)
        self.compared = (*kind.compared, *(f"{TEACHER}{name}" for name in kind.teacher_says))  # type: ignore[misc]

    def part(self, batch: Batch, rows: slice) -> Batch:
        return self.kind.part(batch, rows)


def taught(kind: Kind, how: Distillation) -> Kind:
    """The kind as it is learnt from a teacher."""
    return TaughtWholeStep(kind, how) if isinstance(kind, WholeStepKind) else Taught(kind, how)
