"""A tag for each word. Knows not where the texts come from, nor how tags are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForTokenClassification

from noria.data.batch.encoded import Encoded, padding_id
from noria.data.batch.encoded_text import IGNORED
from noria.model.head import Head
from noria.model.pretrained import Pretrained
from noria.model.token_losses import divergence, row_sums, wanted
from noria.task.kind import Batch, Kind
from noria.task.outputs import Ragged
from noria.task.token_classification.form import TokenClassificationForm
from noria.task.token_classification.windows import EncodedWords

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TOKENS = Head(AutoModelForTokenClassification, "token classification", "TOKEN_CLS")


class TokenClassification(Kind):
    """Fine-tunes a token classifier on the first token of each word; every word counts alike.

    Args:
        viterbi: answer with the most probable valid sequence of tags, not with the most probable tag of each word.
    """

    form_path = "noria.task.token_classification.form.TokenClassificationForm"
    architectures = ("encoder", "decoder", "both")

    form: TokenClassificationForm
    packed: ClassVar[bool] = True
    teacher_says: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(self, *, viterbi: bool = True, **shared: Any) -> None:
        super().__init__(**shared)
        self.form = TokenClassificationForm(viterbi=viterbi)

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        made: nn.Module = pretrained.classifier(list(self.form.labels), None, padding_id(tokenizer), head=TOKENS)
        return made

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        labels = batch["labels"]
        each = F.cross_entropy(made.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")
        count = (labels != IGNORED).sum(1)
        return each.sum(1) / count.clamp(min=1), count.to(each.dtype)

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray | Ragged]:
        """Log-probabilities of the words alone, and their losses where the tags are known."""
        scored = batch["scored"]
        lengths = scored.sum(1).cpu().numpy().astype(np.int64)
        logs = made.detach()[scored].float().log_softmax(-1).cpu()
        found: dict[str, np.ndarray | Ragged] = {"log_probabilities": Ragged(logs.numpy(), lengths)}
        if "labels" in batch:
            labels = batch["labels"][scored].cpu().clamp(min=0)  # fillers have none, and are left out
            losses = -logs.gather(1, labels[:, None])[:, 0].double()
            found["loss"] = Ragged(losses.numpy(), lengths)
        return found

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> dict[str, np.ndarray | Ragged]:
        """The logits of the words alone."""
        lengths = batch["scored"].sum(1).cpu().numpy().astype(np.int64)
        return {"logits": Ragged(made.detach()[batch["scored"]].float().cpu().numpy(), lengths)}

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The mean over the words of each window."""
        there = wanted(batch["labels"])
        found = divergence(made[there].float(), batch["teacher_logits"], temperature)
        return row_sums(found, there) / there.sum(1).clamp(min=1)

    def weights(self, encoded: Encoded) -> np.ndarray:
        assert isinstance(encoded, EncodedWords)
        return encoded.scored.astype(np.float32)
