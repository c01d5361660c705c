"""Answers of an encoder-decoder, in batches. Knows neither files nor terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from noria.data.batch.batches import epoch_batches
from noria.data.batch.encoded_pairs import EncodedPairs
from noria.model.session import Session
from noria.task.generation.generator import reply
from noria.task.generation.sampling import Drawn, Penalties, Sampling
from noria.task.generation.search import Found, Settings, search
from noria.task.generation.steps import decoder_of, fast_form
from noria.task.requests import NO_NUMBER
from noria.task.seq2seq.frame import around_targets
from noria.task.seq2seq.shift import first_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from noria.task.seq2seq.form import Seq2SeqForm

BESIDE = 10  # tokens that an answer may have however short its source is


class Writer:
    """What an encoder-decoder writes.

    The same request has the same answer and score whatever it is answered with, up to rounding.

    Args:
        session: the network, where it runs.
        form: says how sources are written.
        max_length: tokens of a source at most; a longer one is cut.
        sampling: how tokens are chosen.
    """

    def __init__(
        self,
        session: Session,
        tokenizer: PreTrainedTokenizerBase,
        form: Seq2SeqForm,
        max_length: int,
        sampling: Sampling,
    ) -> None:
        self.sampling, self._max_length = sampling, max_length
        self._session, self._tokenizer, self._form = session, tokenizer, form
        self._network = fast_form(session.network)

    def encode(self, requests: Sequence[Mapping[str, Any]]) -> EncodedPairs:
        """The tokens of the sources."""
        return self._form.encode_requests(requests, self._tokenizer, self._max_length)

    def problem(self, request: Any) -> str | None:
        return None

    def answer(
        self, requests: Sequence[Mapping[str, Any]], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """The `response` to each request and its `score`; with several answers, all of them in `responses`."""
        if not requests:
            return []
        encoded = self.encode(requests)
        numbers = range(len(requests)) if numbers is None else numbers
        replies: list[dict[str, Any]] = [{} for _ in requests]
        for rows in epoch_batches(encoded.tokens.lengths, batch_size, seed=0, epoch=0, shuffle=False):
            batch = self._session.moved(encoded[rows])
            with self._session.context():
                own = [int(numbers[row]) for row in rows]
                ids, mask = batch["input_ids"], batch["attention_mask"]
                found = write(self._network, self._tokenizer, ids, mask, self.sampling, own)
            for row, answers in zip(rows, found, strict=True):
                replies[row] = self._reply(answers)
        return replies

    def _reply(self, answers: list[Found]) -> dict[str, Any]:
        if not answers:
            return {"error": NO_NUMBER}
        chosen = answers[: self.sampling.num_return_sequences]
        return reply([(text_of(self._tokenizer, found.tokens), found.score) for found in chosen])


def text_of(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    """The text of an answer's tokens."""
    text = tokenizer.decode(tokens, skip_special_tokens=True)
    assert isinstance(text, str)
    return text.strip()


@torch.inference_mode()
def write(
    network: Any,
    tokenizer: PreTrainedTokenizerBase,
    input_ids: Tensor,
    attention_mask: Tensor,
    sampling: Sampling,
    numbers: Sequence[int],
) -> list[list[Found]]:
    """The answers of a network in evaluation mode to each source (sources, places), the best first.

    Args:
        numbers: one for each source: by them random numbers are drawn, where there are any.
    """
    before, _ = around_targets(tokenizer)
    limits = torch.full((len(input_ids),), sampling.max_new_tokens, device=input_ids.device)
    if sampling.max_source_ratio is not None:
        own = (attention_mask.sum(1) * sampling.max_source_ratio).ceil().long() + BESIDE
        limits = torch.minimum(limits, own)
    table = getattr(network.config, "max_position_embeddings", None)
    if table is not None:
        limits = limits.clamp(max=int(table) - 1)
    settings = Settings(
        first=_first(network, tokenizer),
        stops=sorted(_stops(network, tokenizer)),
        beams=sampling.num_beams,
        length_penalty=float(sampling.length_penalty),
        never=_never(network),
        forced=before,
        penalties=Penalties(sampling),
        draw=Drawn(sampling, numbers, input_ids.device) if sampling.temperature else None,
    )
    return search(decoder_of(network, input_ids, attention_mask, sampling.num_beams), limits, settings)


def _first(network: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    first = first_token(network)
    if first is not None:
        return first
    _, after = around_targets(tokenizer)
    return after[-1]


def _stops(network: Any, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """What ends an answer, as the model's own settings and its tokenizer say."""
    named: list[Any] = [tokenizer.eos_token_id]
    for source in (getattr(network, "generation_config", None), network.config):
        found = getattr(source, "eos_token_id", None)
        named += found if isinstance(found, list) else [found]
    return {int(number) for number in named if number is not None}


def _never(network: Any) -> list[int]:
    """Tokens that no answer may hold, as the model's own settings say; of one that is being trained the padding, as its
    artifact will say."""
    settings = getattr(network, "generation_config", None)
    if settings is None:
        return [network.shape.pad]
    return sorted({word[0] for word in settings.bad_words_ids or [] if len(word) == 1})
