"""An answer as a span of a passage. Knows not where the questions come from, nor how spans become texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from annotated_types import Ge, Gt
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering

from noria.data.batch.encoded import Encoded, padding_id
from noria.model.head import Head, scores_of
from noria.model.pretrained import Pretrained
from noria.model.token_losses import divergence
from noria.task.kind import Batch, Kind
from noria.task.outputs import Ragged
from noria.task.question_answering.form import QuestionAnsweringForm

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPANS = Head(AutoModelForQuestionAnswering, "question answering", "QUESTION_ANS", rows=("start", "end"))
NETWORK_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

NOWHERE = -1e4  # the logit of what is no token: a probability of 0 without an infinite number


class QuestionAnswering(Kind):
    """Fine-tunes a network that says of each token how likely the answer begins and ends with it.

    The loss of a window is the mean of two cross-entropies, of the answer's first and of its last token, over all
    tokens of the window (Devlin et al. 2019, sections 4.2 and 4.3). Every window counts alike; one that has not all of
    the answer learns that it has none.

    Args:
        stride: tokens that neighbouring windows of a long passage share.
        max_answer_length: tokens of an answer at most, when one is chosen.
        n_best: how many of the likeliest spans of a passage are weighed against each other.
        no_answer: a question may have none; None: where training rows have none.
        no_answer_threshold: how much higher than the best span's the score of no answer, a sum of two logits, has to
            be for it to be given.
    """

    form_path = "noria.task.question_answering.form.QuestionAnsweringForm"
    architectures = ("encoder",)

    form: QuestionAnsweringForm
    packed: ClassVar[bool] = True
    teacher_says: ClassVar[tuple[str, ...]] = ("logits",)

    def __init__(
        self,
        *,
        stride: Annotated[int, Ge(0)] = 128,
        max_answer_length: Annotated[int, Gt(0)] = 30,
        n_best: Annotated[int, Gt(0)] = 20,
        no_answer: bool | None = None,
        no_answer_threshold: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.form = QuestionAnsweringForm(
            stride=stride, max_answer_length=max_answer_length, n_best=n_best, no_answer=no_answer,
            no_answer_threshold=no_answer_threshold,
        )  # fmt: skip

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        made: nn.Module = pretrained.classifier([], None, padding_id(tokenizer), head=SPANS)
        return made

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Logits (windows, longest, 2)."""
        return scores_of(network(**{name: batch[name] for name in NETWORK_INPUTS if name in batch}))

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        logits = made.float().masked_fill(batch["attention_mask"][..., None] == 0, -torch.inf)
        each = [
            F.cross_entropy(logits[..., at], batch[end], reduction="none") for at, end in ((0, "start"), (1, "end"))
        ]
        return (each[0] + each[1]) / 2, torch.ones_like(each[0])

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray | Ragged]:
        """The logits of the passages' tokens, those of no answer (windows, 2), and the losses where answers are
        known."""
        logits, passage = made.detach().float(), batch["passage"]
        rows = torch.arange(len(logits), device=logits.device)
        found: dict[str, np.ndarray | Ragged] = {
            "logits": Ragged(logits[passage].cpu().numpy(), passage.sum(1).cpu().numpy().astype(np.int64)),
            "nothing": logits[rows, batch["nothing"]].cpu().numpy(),
        }
        if "start" in batch:
            found["loss"] = self.losses(made.detach(), batch)[0].double().cpu().numpy()
        return found

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> dict[str, np.ndarray | Ragged]:
        """The logits of all tokens, of which each may begin or end the answer."""
        there = batch["attention_mask"] > 0
        logits = made.detach()[there].float().cpu().numpy()
        return {"logits": Ragged(logits, there.sum(1).cpu().numpy().astype(np.int64))}

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The mean of two, of the answer's first and of its last token."""
        there = (batch["attention_mask"] > 0) & (batch["index"] >= 0)[:, None]
        logits = made.float().masked_fill(~there[..., None], NOWHERE * temperature)
        teacher = torch.full_like(logits, NOWHERE * temperature)
        teacher[there] = batch["teacher_logits"]
        return divergence(logits.mT, teacher.mT, temperature).mean(-1)

    def weights(self, encoded: Encoded) -> np.ndarray:
        return np.ones(len(encoded), np.float32)
