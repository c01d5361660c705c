"""Scores of the next token from any encoder-decoder, each token computed once. Knows no way of choosing tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache

from noria.model.packed_linear import pack_linears
from noria.model.transformer.decoding import Decoding
from noria.model.transformer.network import EncoderDecoder
from noria.model.transformer.saved import from_library
from noria.task.generation.search import Decoder


def fast_form(network: Any) -> Any:
    """The network as ours, made ready to answer, where it is one that we have; else itself."""
    ours = from_library(network)
    return network if ours is None else pack_linears(ours)


def decoder_of(network: Any, input_ids: Tensor, attention_mask: Tensor, beams: int) -> Decoder:
    """What gives the scores of the targets of these sources, (sources, places), with so many beams each."""
    made = Decoding if isinstance(network, EncoderDecoder) else LibraryDecoding
    return made(network, input_ids, attention_mask, beams)


class LibraryDecoding:
    """The beams of some sources under a network of the transformers library.

    Keys and values of the source are computed once; they never move while beams of one source change places.

    Args:
        network: in evaluation mode.
        input_ids, attention_mask: (sources, places).
        beams: for each source.
    """

    def __init__(self, network: Any, input_ids: Tensor, attention_mask: Tensor, beams: int) -> None:
        self._network, self._beams = network, beams
        seen = network.get_encoder()(input_ids=input_ids, attention_mask=attention_mask)
        self._encoded = seen.last_hidden_state.repeat_interleave(beams, 0)
        self._mask = attention_mask.repeat_interleave(beams, 0)
        self._cache: Any = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def scores(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        """The scores of what may follow, (sources, beams, vocabulary).

        Args:
            tokens: (sources, beams), the last token of each beam.
            parents: (sources, beams), which beam of before each goes on from; None: each from itself.
        """
        if parents is not None and self._beams > 1:
            start = torch.arange(len(parents), device=parents.device)[:, None] * self._beams
            self._cache.self_attention_cache.reorder_cache((parents + start).flatten())
        made = self._network(
            attention_mask=self._mask,
            encoder_outputs=(self._encoded,),
            decoder_input_ids=tokens.reshape(-1, 1),
            past_key_values=self._cache,
            use_cache=True,
        )
        logits: Tensor = made.logits[:, -1]
        return logits.view(*tokens.shape, -1)

    def keep(self, sources: Tensor) -> None:
        """Goes on with these sources alone, in this order."""
        rows = (sources[:, None] * self._beams + torch.arange(self._beams, device=sources.device)).flatten()
        self._cache.batch_select_indices(rows)
        self._encoded, self._mask = self._encoded[rows], self._mask[rows]
