"""A label, several labels or a number for a text or a pair of texts. Knows not where the texts come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, padding_id
from noria.model.pretrained import Pretrained
from noria.task.kind import Batch, Kind
from noria.task.text_classification.form import TextClassificationForm
from noria.task.text_classification.objective import Objective, balanced_weights

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PROBLEM_TYPES: dict[str, Any] = {
    "single_label": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class TextClassification(Kind):
    """Fine-tunes a sequence classifier.

    Args:
        kind: `single_label`, `multi_label` or `regression`.
        label_smoothing: moves that much probability from the label to all classes alike.
        class_weights: one weight a class, in the order of the labels, or `balanced`.
    """

    form_path = "noria.task.text_classification.form.TextClassificationForm"
    architectures = ("encoder", "decoder", "both")
    packed: ClassVar[bool] = True
    teacher_says: ClassVar[tuple[str, ...]] = ("logits",)
    teacher_settings: ClassVar[tuple[str, ...]] = ("kind", "texts")
    only_for: ClassVar[dict[str, tuple[str, ...]]] = {
        "label_smoothing": ("single_label",),
        "class_weights": ("single_label", "multi_label"),
    }

    form: TextClassificationForm

    def __init__(
        self,
        *,
        kind: Literal["single_label", "multi_label", "regression"] = "single_label",
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        class_weights: list[Annotated[float, Ge(0)]] | Literal["balanced"] | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.form = TextClassificationForm(kind)
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self._weights: Tensor | None = None

    @property
    def objective(self) -> Objective:
        """The loss that is learnt from."""
        return Objective(self.form.kind, self._weights, self.label_smoothing)

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        problem = PROBLEM_TYPES[self.form.kind]
        made: nn.Module = pretrained.classifier(list(self.form.labels), problem, padding_id(tokenizer))
        return made

    def settle(self, train: Encoded) -> None:
        names = len(self.form.labels)
        if self.class_weights == "balanced":
            assert train.labels is not None
            self._weights = balanced_weights(self.form.kind, torch.from_numpy(train.labels), names)
        elif self.class_weights is not None:
            if len(self.class_weights) != names:
                raise UserError(
                    f"task.class_weights gives {len(self.class_weights)} weights for {names} labels: give one a label."
                )
            self._weights = torch.tensor(self.class_weights, dtype=torch.float32)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = network(**{name: batch[name] for name in NETWORK_INPUTS if name in batch}).logits
        return logits

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.objective.losses(made, batch["labels"])

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray]:
        plain, logits = Objective(self.form.kind), made.detach().float().cpu()
        found = {"scores": plain.scores(logits).numpy()}
        if "labels" in batch:
            found["loss"] = plain.losses(logits, batch["labels"].cpu())[0].numpy()
        return found

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> dict[str, np.ndarray]:
        return {"logits": made.detach().float().cpu().numpy()}

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        return self.objective.distances(made, batch["teacher_logits"], temperature)

    def weights(self, encoded: Encoded) -> np.ndarray:
        assert encoded.labels is not None
        weights: np.ndarray = self.objective.weights(torch.from_numpy(encoded.labels)).numpy()
        return weights
