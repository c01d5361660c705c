"""From logits to losses, probabilities and predictions. The same for training, evaluation and serving."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from noria.common.errors import UserError
from noria.model.token_losses import divergence


@dataclass(frozen=True)
class Objective:
    """The loss of a text classifier or regressor, and what its logits mean.

    Args:
        kind: `single_label` (softmax), `multi_label` (a sigmoid for each label) or `regression`.
        class_weights: (classes,) or None.
        label_smoothing: only for `single_label` (Szegedy et al. 2016, section 7).
    """

    kind: str
    class_weights: Tensor | None = None
    label_smoothing: float = 0.0

    def losses(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each example and the weight it counts with, both (batch,), in fp32.

        The loss of a batch, of an epoch, of any set is `(loss * weight).sum() / weight.sum()`.
        """
        logits = logits.float()
        if self.kind == "single_label":
            loss = F.cross_entropy(logits, labels, reduction="none", label_smoothing=self.label_smoothing)
        elif self.kind == "multi_label":
            positive = None if self.class_weights is None else self.class_weights.to(logits.device)
            loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none", pos_weight=positive).mean(-1)
        else:
            loss = F.mse_loss(logits.squeeze(-1), labels, reduction="none")
        return loss, self.weights(labels)

    def distances(self, logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        """How far each example's logits are from a teacher's, both (batch, classes): (batch,), in fp32.

        Of probabilities T² · KL(teacher ‖ student) of logits divided by T (Hinton et al. 2015, section 2), of several
        labels its mean over them; of numbers the squared difference.
        """
        logits, teacher = logits.float(), teacher.float()
        if self.kind == "regression":
            return (logits - teacher).squeeze(-1) ** 2
        if self.kind == "multi_label":  # each label is two classes
            logits, teacher = (torch.stack([x, torch.zeros_like(x)], -1) for x in (logits, teacher))
        found = divergence(logits, teacher, temperature)
        return found.mean(-1) if self.kind == "multi_label" else found

    def weights(self, labels: Tensor) -> Tensor:
        """What each example counts with, (batch,), in fp32."""
        if self.kind == "single_label" and self.class_weights is not None:
            return self.class_weights.to(labels.device)[labels]
        return torch.ones(len(labels), device=labels.device)

    def scores(self, logits: Tensor) -> Tensor:
        """Probabilities (n, classes), or the predicted values (n,) of a regression."""
        logits = logits.float()
        if self.kind == "single_label":
            return logits.softmax(-1)
        return logits.sigmoid() if self.kind == "multi_label" else logits.squeeze(-1)


def balanced_weights(kind: str, labels: Tensor, classes: int) -> Tensor:
    """Weights (classes,) that give every class the same say.

    single_label: n / (classes * count). multi_label: negatives / positives, the `pos_weight` of the loss.

    Raises:
        UserError: a class has no training example, or a label stands in all of them, so that no weight balances it.
    """
    counts = torch.bincount(labels, minlength=classes) if kind == "single_label" else labels.sum(0)
    if (counts == 0).any():
        raise UserError("task.class_weights=balanced: a label has no training example. Give the weights as a list.")
    if kind == "multi_label" and (counts == len(labels)).any():
        raise UserError(
            "task.class_weights=balanced: a label stands in every training row, so its weight would be 0 and nothing "
            "of it would be learnt. Give the weights as a list."
        )
    return len(labels) / (classes * counts) if kind == "single_label" else (len(labels) - counts) / counts
