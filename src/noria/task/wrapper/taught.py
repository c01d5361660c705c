"""A kind of work that is learnt from a teacher as well: what the teacher says lies in the batches. Knows no teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded
from noria.model.counts import Counts
from noria.model.pretrained import Pretrained
from noria.model.states import caught
from noria.model.token_losses import row_sums
from noria.task.kind import TEACHER, Batch, Kind
from noria.task.outputs import Ragged
from noria.task.whole_step import WholeStepKind

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.task.wrapper.distillation import Distillation

STATES = f"{TEACHER}states"


class Taught(Kind):
    """All that a kind is, but for the loss of a batch that holds what a teacher says of it.

    Args:
        kind: what is learnt.
        how: what the teacher's part of the loss is.
    """

    def __init__(self, kind: Kind, how: Distillation) -> None:
        super().__init__()
        self.kind, self.form, self.how = kind, kind.form, how
        self.reads_states = how.hidden > 0

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        return self.kind.network(pretrained, tokenizer)

    def forward(self, network: nn.Module, batch: Batch) -> Any:
        """What the kind makes of it; with states of a teacher in the batch, that and the network's own."""
        if STATES not in batch:
            return self.kind.forward(network, batch)
        with caught(network) as states:
            made = self.kind.forward(network, batch)
        return made, states[-1]

    def losses(self, made: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        states = None
        if STATES in batch:
            made, states = made
        losses, weights = self.kind.losses(made, batch)
        if not any(name.startswith(TEACHER) for name in batch):  # of validation
            return losses, weights
        distance = self.kind.distance(made, batch, self.how.temperature)
        losses = self.how.labels * losses + self.how.soft * distance
        if states is not None:
            losses = losses + self.how.hidden * between_states(states, batch)
        return losses, weights

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


def states_of(states: Tensor, batch: Batch) -> Ragged:
    """A network's states (examples, longest, width) of the tokens that there are, on the host in fp16."""
    there = batch["attention_mask"] > 0
    return Ragged(states.detach()[there].half().cpu().numpy(), there.sum(1).cpu().numpy().astype(np.int64))


def between_states(states: Tensor, batch: Batch) -> Tensor:
    """The mean squared distance of states (examples, longest, width) from a teacher's, over tokens and dimensions:
    (examples,), in fp32."""
    there = (batch["attention_mask"] > 0) & (batch["index"] >= 0)[:, None]
    found = (states[there].float() - batch[STATES].float()).square().mean(-1)
    return row_sums(found, there) / there.sum(1).clamp(min=1)


def taught(kind: Kind, how: Distillation) -> Kind:
    """The kind as it is learnt from a teacher."""
    return TaughtWholeStep(kind, how) if isinstance(kind, WholeStepKind) else Taught(kind, how)
