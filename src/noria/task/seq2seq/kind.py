"""The tokens of a target from a source and from those before them. Knows no file and no family of models by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
import torch
from annotated_types import Interval
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded
from noria.data.batch.encoded_pairs import EncodedPairs
from noria.metric.answers import objects
from noria.metric.references import RESPONSE
from noria.model.counts import Counts
from noria.model.limits import refuse_unknown_tokens
from noria.model.pretrained import Pretrained
from noria.model.session import Session
from noria.model.token_losses import row_sums, token_losses, wanted
from noria.model.transformer.network import EncoderDecoder
from noria.task.form import Form
from noria.task.generation.sampling import Sampling, settled
from noria.task.kind import Batch, Kind
from noria.task.seq2seq.form import Seq2SeqForm
from noria.task.seq2seq.shift import shifted
from noria.task.seq2seq.writer import Writer, text_of, write

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Seq2Seq(Kind):
    """Trains an encoder-decoder on the tokens of its targets. Every token counts alike.

    Args:
        label_smoothing: how much of each target's probability is shared by all tokens (Szegedy et al. 2016).
        prefix, source_lang, target_lang: as `Seq2SeqForm` says.
        generate_in_validation: every validation also answers its sources, so that metrics of texts can be monitored.
        generation: how the model answers, where it is measured and later.
    """

    form_path = "noria.task.seq2seq.form.Seq2SeqForm"
    architectures = ("both",)
    batch_size: ClassVar[int] = 128
    chunk: ClassVar[int] = 8

    form: Seq2SeqForm

    def __init__(
        self,
        *,
        label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
        prefix: str = "",
        source_lang: str | None = None,
        target_lang: str | None = None,
        generate_in_validation: bool = False,
        generation: Sampling | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.label_smoothing = label_smoothing
        self.generates = generate_in_validation
        self.generation = generation or Sampling()
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self.form = Seq2SeqForm(
            prefix=prefix, source_lang=source_lang, target_lang=target_lang, generation=asdict(self.generation)
        )

    @classmethod
    def of(cls, form: Form) -> Self:
        assert isinstance(form, Seq2SeqForm)
        kind = cls(generation=Sampling(**form.generation))
        kind.form = form
        return kind

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        self._tokenizer = tokenizer
        made: nn.Module = pretrained.encoder_decoder()
        return made

    def check(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: Encoded, where: str) -> None:
        assert isinstance(encoded, EncodedPairs)
        refuse_unknown_tokens(network, tokenizer, encoded.highest, where)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """The loss of each target by which it is learnt, and its negative log-likelihood: (targets, 2)."""
        labels = batch["labels"]
        given = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
        given["decoder_input_ids"] = shifted(labels, network)
        if isinstance(network, EncoderDecoder):
            found: Tensor = network(**given, labels=labels, label_smoothing=self.label_smoothing)
            return found
        at = wanted(labels)
        return torch.stack(token_losses(network(**given).logits[at], labels[at], self.label_smoothing), 1)

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        at = wanted(batch["labels"])
        sums, targets = row_sums(made[:, 0], at), at.sum(1)
        return sums / targets.clamp(min=1), targets.to(sums.dtype)

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray]:
        """The summed loss (fp64) and how many targets, of each row."""
        at = wanted(batch["labels"])
        found = {"loss_sum": row_sums(made[:, 1].detach(), at).double(), "tokens": at.sum(1)}
        return {name: values.cpu().numpy() for name, values in found.items()}

    def said(self, network: nn.Module, batch: Batch) -> dict[str, np.ndarray]:
        if not self.generates:
            return {}
        assert self._tokenizer is not None, "the network was made with the tokenizer"
        ids, mask = batch["input_ids"], batch["attention_mask"]
        numbers = batch["index"].clamp(min=0).tolist()
        found = write(network, self._tokenizer, ids, mask, self.generation, numbers)
        texts = [text_of(self._tokenizer, answers[0].tokens) if answers else "" for answers in found]
        return {RESPONSE: objects(texts)}

    def weights(self, encoded: Encoded) -> np.ndarray:
        assert isinstance(encoded, EncodedPairs)
        return encoded.targets.astype(np.float64)

    def counts(self, batch: Batch) -> Counts:
        sides = (batch["attention_mask"], wanted(batch["labels"]))
        lengths = torch.cat([side.sum(1) for side in sides])
        return Counts(len(batch["labels"]), lengths, sum(side.numel() for side in sides))

    def sample_settings(self, network: nn.Module) -> Sampling:
        return self.generation

    def answerer(
        self, session: Session, tokenizer: PreTrainedTokenizerBase, max_length: int, settings: Any = None
    ) -> Writer:
        return Writer(session, tokenizer, self.form, max_length, settled(self.generation, settings))
