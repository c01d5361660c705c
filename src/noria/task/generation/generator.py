"""Lets a decoder answer prompts, in batches or piece by piece. Knows neither files nor terminals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import GenerationConfig

from noria.common.errors import UserError
from noria.data.batch.batches import epoch_batches
from noria.data.batch.encoded import padding_id
from noria.data.chat.chat import asked
from noria.data.chat.messages import BadConversationError
from noria.data.chat.stops import stop_tokens
from noria.data.chat.template import Runaway
from noria.model.limits import embeddings
from noria.model.padding import generates_beside
from noria.model.session import Session
from noria.task.generation.prompted import PromptDecoding
from noria.task.generation.prompts import Prompt, conversation
from noria.task.generation.sampling import Drawn, Penalties, Sampling
from noria.task.generation.search import Decoder, Found, Settings, search
from noria.task.generation.streaming import Heard, pieces
from noria.task.requests import NO_NUMBER, Unanswerable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Answer = tuple[str, float | None]
"""A text, and its score where beams were followed: the sum of its tokens' log-probabilities over its length to the
power of the length penalty."""


def reply(answers: Sequence[Answer]) -> dict[str, Any]:
    """What is told of the answers to one request, the best first."""
    scored = [{"response": text, **({} if score is None else {"score": score})} for text, score in answers]
    return {**scored[0], **({"responses": scored} if len(scored) > 1 else {})}


class BadPrompt(Unanswerable):
    """A prompt that cannot be answered, while others can."""


class Generator:
    """Answers of one decoder.

    A prompt is a text, from which the model goes on, or a conversation, which goes through the tokenizer's chat
    template. An answer ends at the end of text, at the end of the turn, or after `max_new_tokens`. What the model's
    own `generation_config.json` says counts only for where to stop: `sampling` says the rest.

    Args:
        session: the network, where it runs.
        sampling: how to choose tokens.

    Raises:
        UserError: `max_new_tokens` leaves no room for a prompt.
    """

    def __init__(self, session: Session, tokenizer: PreTrainedTokenizerBase, sampling: Sampling) -> None:
        self.sampling = sampling
        self._tokenizer = tokenizer
        self._session = session
        self._network = session.network
        # Models without absolute limits have none: as long as memory allows.
        context = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        self._room = None if context is None else int(context) - sampling.max_new_tokens
        if self._room is not None and self._room < 1:
            raise UserError(
                f"stage.generation.max_new_tokens={sampling.max_new_tokens} leaves no room for a prompt: the model "
                f"reads {context} tokens in all."
            )
        self._known = embeddings(self._network)
        try:
            self._stops = stop_tokens(self._tokenizer, self._network)
        except Runaway as said:
            raise UserError(f"{self._network.config.name_or_path}: {said}") from None
        pad = padding_id(self._tokenizer)
        self._config = GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=False,
            eos_token_id=self._stops or None,
            pad_token_id=pad,
        )
        # Its settings would fill in whatever is unset in ours.
        self._network.generation_config = GenerationConfig(eos_token_id=self._stops or None, pad_token_id=pad)

    @cached_property
    def _beside(self) -> str:
        """Which prompts can share a batch: `all`, those of `one length`, or `none`."""
        return generates_beside(self._network, int(self._config.pad_token_id))

    def _parts(self, rows: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        """The rows of a batch in parts that can run together."""
        if len(rows) == 1 or self._beside == "all":
            return [rows]
        if self._beside == "none":
            return list(rows[:, None])
        return [rows[lengths[rows] == length] for length in np.unique(lengths[rows])]

    @property
    def chats(self) -> bool:
        """Whether there is a chat template."""
        return bool(self._tokenizer.chat_template)

    def encode(self, prompt: Prompt) -> list[int]:
        """The tokens of a prompt, up to where the answer begins.

        Raises:
            UserError: messages that are none, or no template for them.
            BadPrompt: no tokens at all, more of them than the model can read, or what the template refuses.
        """
        ids = self._tokenizer(
            prompt if isinstance(prompt, str) else self._rendered(prompt),
            add_special_tokens=isinstance(prompt, str),  # a template writes its own
            verbose=False,
        )["input_ids"]
        if not ids:
            raise BadPrompt("no text")
        if self._known is not None and max(ids) >= self._known:
            token = self._tokenizer.convert_ids_to_tokens(max(ids))
            raise BadPrompt(f"the model has no embedding for '{token}', which the prompt holds")
        if self._room is not None and len(ids) > self._room:
            raise BadPrompt(
                f"the prompt has {len(ids):,} tokens; the model takes {self._room:,} beside an answer of up to "
                f"{self.sampling.max_new_tokens:,} (stage.generation.max_new_tokens)"
            )
        return list(ids)

    def answer(
        self, requests: Sequence[Prompt], batch_size: int, numbers: Sequence[int] | None = None
    ) -> list[dict[str, Any]]:
        """The `response` to each prompt, or an `error` where it cannot be answered. Where beams were followed it has a
        `score`, and with several answers all of them stand in `responses`."""
        numbers = range(len(requests)) if numbers is None else numbers
        found: list[dict[str, Any]] = [{} for _ in requests]
        good = []
        for place, prompt in enumerate(requests):
            if said := self.problem(prompt):
                found[place] = {"error": said}
            else:
                good.append(place)
        own = [numbers[place] for place in good]
        all_answers = self.answers([requests[place] for place in good], batch_size, numbers=own)
        for place, answers in zip(good, all_answers, strict=True):
            found[place] = reply(answers) if answers else {"error": NO_NUMBER}
        return found

    def problem(self, request: Prompt) -> str | None:
        """Why a prompt cannot be answered; None where it can. Raises as `encode` where no prompt could be."""
        try:
            self.encode(request)
        except BadPrompt as problem:
            return str(problem)
        return None

    def generate(
        self,
        prompts: Sequence[Prompt],
        batch_size: int,
        advance: Callable[[int], Any] = lambda rows: None,
        numbers: Sequence[int] | None = None,
    ) -> list[str]:
        """The best of `answers` to each prompt, as texts.

        Raises:
            UserError: as `answers`, and where the model finds nothing: its scores are no numbers.
        """
        found = self.answers(prompts, batch_size, advance, numbers)
        return [self._best(answers) for answers in found]

    def answers(
        self,
        prompts: Sequence[Prompt],
        batch_size: int,
        advance: Callable[[int], Any] = lambda rows: None,
        numbers: Sequence[int] | None = None,
    ) -> list[list[Answer]]:
        """The answers, without their prompts, in the order of the prompts: to each the best first, or none where the
        model's scores are no numbers.

        Prompts of like length share a batch, and leave it when their answers are done. The same sampling settings and
        number give a prompt the same answer on the same machine; in another batch too, up to rounding.

        Args:
            advance: told the number of prompts after each batch, for a progress bar.
            numbers: the number of each prompt, which decides its random numbers; by default from 0 on.

        Raises:
            UserError: as `encode`, for any of the prompts, before the first is answered.
        """
        encoded = [self.encode(prompt) for prompt in prompts]
        beams, each = self.sampling.num_beams > 1, self.sampling.num_return_sequences
        answers: list[list[Answer]] = [[] for _ in encoded]
        lengths = np.array([len(ids) for ids in encoded], np.int64)
        for rows in epoch_batches(lengths, batch_size, seed=0, epoch=0, shuffle=False):
            for part in self._parts(rows, lengths):
                batch = [encoded[row] for row in part], [int(row) if numbers is None else numbers[row] for row in part]
                for row, found in zip(part, self._answer(*batch), strict=True):
                    answers[row] = [(self._text(one.tokens), one.score if beams else None) for one in found[:each]]
            advance(len(rows))
        return answers

    def stream(self, prompt: Prompt, number: int = 0) -> Iterator[str]:
        """The answer of `generate` in pieces, each as soon as it is certain.

        Closing the iterator ends the generation.

        Args:
            number: that of the prompt; it decides the random numbers.

        Raises:
            UserError: as `encode`, at once; in the midst of the pieces whatever the generation raises.
        """
        if self.sampling.num_beams > 1:  # what is likeliest is known when all is written
            return iter(self.generate([prompt], 1, numbers=[number]))
        encoded = self.encode(prompt)

        def generate(tell: Callable[[int], None]) -> list[int]:
            (found,) = self._answer([encoded], [number], tell)
            if not found:
                raise UserError(NO_NUMBER)
            return found[0].tokens

        return pieces(generate, self._text)

    @torch.inference_mode()
    def _answer(
        self,
        prompts: list[list[int]],
        numbers: list[int],
        tell: Callable[[int], None] | None = None,
    ) -> list[list[Found]]:
        """What is found for the prompts of one batch; nothing for one whose scores are no numbers.

        Args:
            tell: takes each token of a single prompt's single beam, all but the last, when it is certain.
        """
        width = max(len(ids) for ids in prompts)
        input_ids = torch.full((len(prompts), width), int(self._config.pad_token_id))
        attention_mask = torch.zeros_like(input_ids)
        for row, ids in enumerate(prompts):  # at the right end, where the answer goes on
            input_ids[row, width - len(ids) :] = torch.tensor(ids)
            attention_mask[row, width - len(ids) :] = 1
        device, sampling = self._session.device, self.sampling
        input_ids, attention_mask = input_ids.to(device), attention_mask.to(device)
        settings = Settings(
            first=0,
            stops=sorted(self._stops),
            beams=sampling.num_beams,
            length_penalty=float(sampling.length_penalty),
            penalties=Penalties(sampling, input_ids, attention_mask),
            draw=Drawn(sampling, numbers, device) if sampling.temperature else None,
        )
        limits = torch.full((len(prompts),), sampling.max_new_tokens, device=device)

        def loop(network: Any, ids: Tensor, **given: Any) -> list[list[Found]]:
            """In place of the library's own, which it has made all ready for."""
            for name in ("logits_processor", "stopping_criteria", "generation_config"):
                del given[name]
            decoder: Decoder = PromptDecoding(network, ids, given, sampling.num_beams)
            return search(decoder if tell is None else Heard(decoder, tell), limits, settings)

        with self._session.context():
            found: list[list[Found]] = self._network.generate(
                input_ids=input_ids, attention_mask=attention_mask, generation_config=self._config, custom_generate=loop
            )
        return found

    def _best(self, answers: list[Answer]) -> str:
        if not answers:
            raise UserError(NO_NUMBER)
        return answers[0][0]

    def _text(self, ids: list[int]) -> str:
        text = self._tokenizer.decode(ids, skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def _rendered(self, prompt: Sequence[dict[str, Any]] | dict[str, Any]) -> str:
        if not self.chats:
            raise UserError(
                "The artifact's tokenizer has no chat template, so it cannot be sent messages: give a plain 'prompt', "
                "or take a model that was trained on conversations."
            )
        try:
            messages, tools = conversation(prompt, "a prompt")
            return asked(self._tokenizer, messages, tools)
        except BadConversationError as error:
            raise BadPrompt(str(error)) from error
