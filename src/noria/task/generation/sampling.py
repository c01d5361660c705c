"""How the next token is chosen from its scores. Knows neither models nor texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from noria.common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How texts are generated.

    Args:
        max_new_tokens: where an answer is cut off.
        num_beams: answers that are followed at once (beam search); 1 takes one token after the other.
        length_penalty: of beams: scores are divided by the answer's length to the power of this.
        no_repeat_ngram_size: no so many tokens in a row stand in an answer twice (Paulus et al. 2017, section 2.5); 0:
            they may.
        num_return_sequences: answers to each request, the best first; no more than beams.
        max_source_ratio: of an encoder-decoder: tokens of an answer at most for each token of its source, beside ten;
            None: `max_new_tokens` alone.
        temperature: what the scores are divided by before sampling; 0 takes the likeliest token (greedy).
        top_p: sample from the likeliest tokens that together have this probability (Holtzman et al. 2020).
        top_k: sample from so many of the likeliest tokens; 0: from all.
        repetition_penalty: above 1, tokens that stand in the prompt or the answer become less likely (Keskar et
            al. 2019, section 4.1).
        seed: with the number of a prompt it decides the answer's random numbers, whatever batch it stands in.
    """

    max_new_tokens: Annotated[int, Gt(0)] = 256
    num_beams: Annotated[int, Gt(0)] = 1
    length_penalty: float = 1.0
    no_repeat_ngram_size: Annotated[int, Ge(0)] = 0
    num_return_sequences: Annotated[int, Gt(0)] = 1
    max_source_ratio: Annotated[float, Gt(0)] | None = None
    temperature: Annotated[float, Ge(0)] = 0.0
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    repetition_penalty: Annotated[float, Gt(0)] = 1.0
    seed: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if self.num_return_sequences > self.num_beams:
            raise UserError(
                f"num_return_sequences={self.num_return_sequences}, but num_beams={self.num_beams} answers are all "
                "that are looked for: raise num_beams."
            )
        if self.num_beams > 1 and self.temperature:
            raise UserError(
                f"num_beams={self.num_beams} looks for the likeliest answer, and temperature={self.temperature:g} "
                "draws one by chance: take num_beams=1, or temperature=0."
            )


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What is typed of `Sampling` (`stage.generation`); what is None is as the model was measured with."""

    max_new_tokens: Annotated[int, Gt(0)] | None = None
    num_beams: Annotated[int, Gt(0)] | None = None
    length_penalty: float | None = None
    no_repeat_ngram_size: Annotated[int, Ge(0)] | None = None
    num_return_sequences: Annotated[int, Gt(0)] | None = None
    max_source_ratio: Annotated[float, Gt(0)] | None = None
    temperature: Annotated[float, Ge(0)] | None = None
    top_p: Annotated[float, Interval(gt=0, le=1)] | None = None
    top_k: Annotated[int, Ge(0)] | None = None
    repetition_penalty: Annotated[float, Gt(0)] | None = None
    seed: Annotated[int, Ge(0)] | None = None

    def over(self, own: Sampling) -> Sampling:
        """The model's own settings with what is typed in their place.

        Raises:
            UserError: they contradict each other.
        """
        return replace(own, **{name: value for name, value in asdict(self).items() if value is not None})


def settled(own: Sampling, given: Sampling | Typed | None) -> Sampling:
    """How a model answers: as it is told, else as its own settings say."""
    return own if given is None else given.over(own) if isinstance(given, Typed) else given


def warpers(sampling: Sampling) -> LogitsProcessorList:
    """What shapes the probabilities that are sampled from."""
    chain = LogitsProcessorList([TemperatureLogitsWarper(float(sampling.temperature))])
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    return chain


class Penalties:
    """Makes tokens less likely that were said before, by the library's own rules.

    Answers may repeat series of tokens of their prompts, but no single ones without a penalty.

    Args:
        prompts, attention_mask: (prompts, places), what stands before the answers; padding, at the left, is no
            repetition: the padding token often is the end of text too. None: nothing stands before them.
    """

    def __init__(self, sampling: Sampling, prompts: Tensor | None = None, attention_mask: Tensor | None = None) -> None:
        self._repetition: Any = None
        self._series: Any = None
        if sampling.repetition_penalty != 1:
            self._repetition = RepetitionPenaltyLogitsProcessor(float(sampling.repetition_penalty))
        if sampling.no_repeat_ngram_size:
            self._series = NoRepeatNGramLogitsProcessor(sampling.no_repeat_ngram_size)
        self._prompts = prompts
        if prompts is not None and attention_mask is not None:  # the last token is always the prompt's own
            self._prompts = torch.where(attention_mask == 0, prompts[:, -1:], prompts)

    def __call__(self, rows: Tensor, history: Tensor, scores: Tensor) -> Tensor:
        """As `noria.task.generation.search.Shape`."""
        own = history if self._prompts is None else history[:, 1:]  # what begins an answer is its prompt's last token
        if self._repetition is not None:
            said = own if self._prompts is None else torch.cat([self._prompts[rows], own], 1)
            scores = self._repetition(said, scores)
        if self._series is not None:
            scores = self._series(own, scores)
        return scores


class Drawn:
    """Makes a sample the highest score: Gumbel noise is added, after which the highest one is a sample from the softmax
    (Gumbel 1954).

    Each row draws from a generator of its own, so that its answer depends neither on its batch nor on what else
    drew random numbers.

    Args:
        numbers: of all rows: with the seed they decide the random numbers.
    """

    def __init__(self, sampling: Sampling, numbers: Sequence[int], device: torch.device) -> None:
        self._warpers: Any = warpers(sampling)
        self._generators = []
        for number in numbers:
            state = np.random.SeedSequence([sampling.seed, number]).generate_state(1, np.uint64)
            self._generators.append(torch.Generator(device).manual_seed(int(state[0])))

    def __call__(self, rows: Tensor, history: Tensor, scores: Tensor) -> Tensor:
        """As `noria.task.generation.search.Shape`."""
        scores = self._warpers(history, scores)
        noise = torch.empty_like(scores, dtype=torch.float32)
        for own, row in zip(noise, rows.tolist(), strict=True):
            own.exponential_(generator=self._generators[row])
        return scores - noise.clamp(min=torch.finfo(torch.float32).tiny).log()
