"""Scores of the next token from any decoder, after prompts. Knows no way of choosing tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.generation.utils import ALL_CACHE_NAMES


class PromptDecoding:
    """The beams of some prompts under a decoder of the transformers library.

    A prompt is read once, for all its beams. What a network remembers in another way than the library's caches cannot
    be taken apart by rows: it reads all tokens anew at each step.

    Args:
        network: in evaluation mode.
        input_ids: (prompts, places), padded at the left.
        given: what `generate` hands to the loop that it is given: the mask, positions and the empty cache.
        beams: for each prompt.
    """

    def __init__(self, network: Any, input_ids: Tensor, given: Mapping[str, Any], beams: int) -> None:
        self._network, self._ids, self._beams = network, input_ids, beams
        self._begun = False
        self._cache_name = next((name for name in ALL_CACHE_NAMES if isinstance(given.get(name), Cache)), None)
        self._given = self._kept({**given, "use_cache": self._cache_name is not None})

    def scores(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        """The scores of what may follow, (prompts, beams, vocabulary).

        Args:
            tokens: (prompts, beams), the last token of each beam; at first the prompts' own stand in their place.
            parents: (prompts, beams), which beam of before each goes on from; None: each from itself.
        """
        if not self._begun:
            self._begun = True
            first = self._next(None, is_first_iteration=True)[:, None].expand(-1, self._beams, -1)
            if self._beams > 1:
                self._take(torch.arange(len(tokens), device=tokens.device).repeat_interleave(self._beams))
            return first
        if parents is not None and self._beams > 1:
            start = torch.arange(len(parents), device=parents.device)[:, None] * self._beams
            self._take((parents + start).flatten())
        self._ids = torch.cat([self._ids, tokens.reshape(-1, 1)], 1)
        made = self._next(1 if self._cache_name else None)
        return made.view(*tokens.shape, -1)

    def keep(self, sources: Tensor) -> None:
        """Goes on with these prompts alone, in this order."""
        self._take((sources[:, None] * self._beams + torch.arange(self._beams, device=sources.device)).flatten())

    def _next(self, count: int | None, **how: Any) -> Tensor:
        """The scores of what may follow, (rows, vocabulary): reads the last `count` tokens of all rows; None: all."""
        network = self._network
        inputs = network.prepare_inputs_for_generation(self._ids, next_sequence_length=count, **how, **self._given)
        made = network(**inputs, return_dict=True)
        self._given = self._kept(network._update_model_kwargs_for_generation(made, self._given))
        logits: Tensor = made.logits[:, -1]
        return logits

    def _kept(self, given: dict[str, Any]) -> dict[str, Any]:
        """What is given, without what the network remembers in another way."""
        return {name: value for name, value in given.items() if self._cache_name or name not in ALL_CACHE_NAMES}

    def _take(self, rows: Tensor) -> None:
        """Goes on with these rows, in this order; a row may stand there more than once."""
        count = len(self._ids)
        self._ids = self._ids[rows]
        for name, value in self._given.items():
            if isinstance(value, Tensor) and value.ndim > 1 and value.shape[-2] == count:  # (..., rows, places)
                self._given[name] = value.index_select(-2, rows)
        if self._cache_name:
            self._given[self._cache_name].reorder_cache(rows)
