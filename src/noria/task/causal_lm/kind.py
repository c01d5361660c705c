"""The next token from those before it. Knows nothing of prompts, templates or where the texts come from."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from noria.data.batch.encoded import Encoded
from noria.data.batch.encoded_text import IGNORED, EncodedText
from noria.task.base import Task


class CausalLM(Task):
    """Trains a decoder on the tokens that are targets: all of a text, or the answers of a conversation.

    Every target counts alike, whichever row, batch or rank it stands in. For the metrics a row's score is the mean
    loss of its targets, and its label their number.
    """

    kind = "causal_lm"
    form = "noria.task.causal_lm.form.CausalLMForm"
    architectures = ("decoder", "both")

    def step(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits = self.network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        sums, targets = row_losses(logits, batch["labels"])
        losses = sums / targets.clamp(min=1)
        return losses.detach(), targets, losses, targets.to(losses.dtype)

    def row_weights(self, rows: Encoded) -> np.ndarray:
        assert isinstance(rows, EncodedText)
        return rows.targets.astype(np.float64)


def row_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the sum of its targets' negative log-likelihoods (rows,), fp32, and their number (rows,), int64.

    Args:
        logits: (rows, length, vocabulary); those at place i predict the token at i + 1.
        labels: (rows, length); the token at its own place where it is a target, else -100.
    """
    losses, there = target_losses(logits, labels)
    return row_sums(losses, there), there.sum(1)


def target_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each target's negative log-likelihood (targets,), fp32, and where they stand (rows, length - 1), bool.

    Args:
        logits, labels: as `row_losses` takes them; place i of what is given back is the token at i + 1.
    """
    targets = labels[:, 1:]
    there = targets != IGNORED
    # Only where something is to be predicted: fp32 logits of a whole vocabulary are what memory goes into.
    return F.cross_entropy(logits[:, :-1][there].float(), targets[there], reduction="none"), there


def row_sums(losses: Tensor, there: Tensor) -> Tensor:
    """The sums over each row (rows,) of what stands at these places (rows, length - 1)."""
    places = there.nonzero()[:, 0]
    return torch.zeros(len(there), dtype=losses.dtype, device=losses.device).index_add(0, places, losses)
