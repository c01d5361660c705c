"""The next token from those before it. Knows nothing of prompts, templates or where the texts come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from noria.data.batch.encoded import Encoded
from noria.data.batch.encoded_text import IGNORED, EncodedText
from noria.data.chat.stops import name_stops
from noria.model.limits import refuse_unknown_tokens
from noria.model.pretrained import Pretrained
from noria.model.session import Session
from noria.model.token_losses import divergence_of_likeliest, likeliest, row_sums, wanted
from noria.task.causal_lm.form import CausalLMForm
from noria.task.generation.generator import Generator
from noria.task.generation.sampling import Sampling, settled
from noria.task.kind import Batch, Kind
from noria.task.outputs import Ragged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE_LENGTH = 96  # tokens of an answer that is shown
MAX_LOGITS = 1 << 27  # numbers in the logits of one forward: 512 MB in fp32


class CausalLM(Kind):
    """Trains a decoder on the tokens that are targets: all of a text, or the answers of a conversation.

    Every target counts alike, whichever row, batch or rank it stands in.

    Args:
        prefix: stands before the source of a pair of texts (`data=parallel`), such as what is to be done with it.
    """

    form_path = "noria.task.causal_lm.form.CausalLMForm"
    architectures = ("decoder",)
    keeps_dtype: ClassVar[bool] = True
    teacher_says: ClassVar[tuple[str, ...]] = ("ids", "logs", "rest")
    teacher_keys: ClassVar[tuple[str, ...]] = ("temperature", "top")
    batch_size: ClassVar[int] = 16
    chunk: ClassVar[int] = 4

    form: CausalLMForm

    def __init__(self, *, prefix: str = "", **shared: Any) -> None:
        super().__init__(**shared)
        self.form = CausalLMForm(prefix=prefix)
        self._tokens: int | None = None  # of the tokenizer: a network may have rows that stand for none

    def network(self, pretrained: Pretrained, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
        self._tokens = 1 + max(tokenizer.get_vocab().values())
        made: nn.Module = pretrained.language_model()
        return made

    def check(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase, encoded: Encoded, where: str) -> None:
        refuse_unknown_tokens(network, tokenizer, encoded.tokens.highest, where)

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        logits: Tensor = network(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits

    def losses(self, made: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        sums, targets = row_losses(made, batch["labels"])
        losses = sums / targets.clamp(min=1)
        return losses, targets.to(losses.dtype)

    def outputs(self, made: Tensor, batch: Batch) -> dict[str, np.ndarray]:
        """The summed loss (fp64), how many targets, and where their text is known the summed loss of what is text."""
        losses, there = target_losses(made.detach(), batch["labels"])
        found = {"loss_sum": row_sums(losses, there).double(), "tokens": there.sum(1)}
        if "of_text" in batch:  # what ends a text or a turn is a target and no text
            found["text_loss"] = row_sums(losses * batch["of_text"][:, 1:][there], there).double()
        return {name: values.cpu().numpy() for name, values in found.items()}

    def says(self, made: Tensor, batch: Batch, temperature: float, top: int) -> dict[str, np.ndarray | Ragged]:
        """Of each target the `top` likeliest tokens with their log-probabilities, and what is left for all others."""
        there = wanted(batch["labels"][:, 1:])
        ids, logs, rest = likeliest(made.detach()[:, :-1][there][:, : self._tokens], temperature, top)
        lengths = there.sum(1).cpu().numpy().astype(np.int64)
        kept = {"ids": ids.int(), "logs": logs.half(), "rest": rest}
        return {name: Ragged(values.cpu().numpy(), lengths) for name, values in kept.items()}

    def distance(self, made: Tensor, batch: Batch, temperature: float) -> Tensor:
        """The mean over the targets of each row."""
        there = wanted(batch["labels"][:, 1:])
        ids, logs, rest = (batch[f"teacher_{name}"] for name in self.teacher_says)
        found = divergence_of_likeliest(made[:, :-1][there], ids, logs, rest, temperature)
        return row_sums(found, there) / there.sum(1).clamp(min=1)

    def weights(self, encoded: Encoded) -> np.ndarray:
        assert isinstance(encoded, EncodedText)
        return encoded.targets.astype(np.float64)

    def sample_settings(self, network: nn.Module) -> Sampling:
        """In a short context answers are shorter, so that prompts have room too."""
        config: Any = network.config
        context = getattr(config.get_text_config(), "max_position_embeddings", None)
        return Sampling(
            max_new_tokens=SAMPLE_LENGTH if context is None else max(1, min(SAMPLE_LENGTH, int(context) // 2))
        )

    def at_once(self, network: nn.Module, longest: int) -> int:
        config: Any = network.config
        return max(MAX_LOGITS // (longest * int(config.get_text_config().vocab_size)), 1)

    def finish(self, network: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
        name_stops(network, tokenizer)

    def answerer(
        self, session: Session, tokenizer: PreTrainedTokenizerBase, max_length: int, settings: Any = None
    ) -> Generator:
        return Generator(session, tokenizer, settled(Sampling(), settings))


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
