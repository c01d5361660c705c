"""How the next token is chosen from its scores. Knows neither models nor texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What `stage.generation` holds.

    Args:
        max_new_tokens: where an answer is cut off.
        temperature: what the scores are divided by before sampling; 0 takes the likeliest token (greedy).
        top_p: sample from the likeliest tokens that together have this probability (Holtzman et al. 2020).
        top_k: sample from so many of the likeliest tokens; 0: from all.
        repetition_penalty: above 1, tokens that stand in the prompt or the answer become less likely (Keskar et
            al. 2019, section 4.1).
        seed: with the number of a prompt it decides the answer's random numbers, whatever batch it stands in.
    """

    max_new_tokens: Annotated[int, Gt(0)] = 256
    temperature: Annotated[float, Ge(0)] = 0.0
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Ge(0)] = 0
    repetition_penalty: Annotated[float, Gt(0)] = 1.0
    seed: Annotated[int, Ge(0)] = 0


def processors(
    sampling: Sampling, attention_mask: Tensor, numbers: Sequence[int], device: torch.device
) -> LogitsProcessorList:
    """Turns the scores of a batch into such that the highest is the token to take.

    Args:
        attention_mask: (rows, prompt), 0 where a prompt is padded at its left.
        numbers: the number of each row's prompt.
    """
    chain = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        chain.append(_Repetition(float(sampling.repetition_penalty), attention_mask))
    if sampling.temperature == 0:
        return chain
    chain.append(TemperatureLogitsWarper(float(sampling.temperature)))
    if sampling.top_k:
        chain.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(TopPLogitsWarper(sampling.top_p))
    chain.append(_Gumbel(sampling.seed, numbers, device))
    return chain


class _Repetition(RepetitionPenaltyLogitsProcessor):
    """The library's own, for which padding is no repetition: the padding token often is the end of text too."""

    def __init__(self, penalty: float, attention_mask: Tensor) -> None:
        super().__init__(penalty)
        self.padded = attention_mask == 0  # (rows, prompt)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        width = self.padded.shape[1]
        prompt = input_ids[:, :width]
        prompt = torch.where(self.padded, prompt[:, -1:], prompt)  # the last token is always the prompt's own
        return super().__call__(torch.cat([prompt, input_ids[:, width:]], 1), scores)


class _Gumbel(LogitsProcessor):
    """Adds Gumbel noise, after which the highest score is a sample from the softmax (Gumbel 1954).

    Each row draws from a generator of its own, so that its answer depends neither on its batch nor on what else
    drew random numbers.
    """

    def __init__(self, seed: int, numbers: Sequence[int], device: torch.device) -> None:
        self.generators = []
        for number in numbers:
            state = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
            self.generators.append(torch.Generator(device).manual_seed(int(state[0])))

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        noise = torch.empty_like(scores, dtype=torch.float32)  # (rows, vocabulary)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.clamp(min=torch.finfo(torch.float32).tiny).log()
