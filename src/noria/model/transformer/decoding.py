"""Writes targets token by token, several for each source at a time. Knows no way of choosing tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from noria.model.transformer.network import EncoderDecoder

ROOM = 32  # places by which the cache grows


class Decoding:
    """The beams of some sources, and what the decoder has computed of them.

    What a source gives to attention is computed once, and all its beams share it. Keys and values of a token stay where
    they were written, whichever beams go on from it: which of them a beam sees is a mask over all that its source's
    beams have written. So nothing is copied when beams change places.

    Args:
        network: in evaluation mode.
        input_ids, attention_mask: (sources, places).
        beams: for each source.
    """

    def __init__(self, network: EncoderDecoder, input_ids: Tensor, attention_mask: Tensor, beams: int) -> None:
        self._network, self._beams = network, beams
        self._blocks: list[Any] = list(network.decoder.layers)
        memory = network.encoder(input_ids, attention_mask)
        self._memory_mask = attention_mask.bool()[:, None, None]  # (sources, 1, 1, places)
        self._memory = []
        self._caches: list[tuple[Tensor, Tensor]] = []
        sources, heads = len(input_ids), network.shape.num_heads
        for block in self._blocks:
            keys, values = block.cross.split(block.cross.memory(memory), 2)
            self._memory.append((keys.contiguous(), values.contiguous()))
            empty = memory.new_empty(sources, heads, 0, network.shape.d_model // heads)
            self._caches.append((empty, empty))
        self._written = 0
        # (sources, beams, written): in which beam's place each token of a beam was written
        self._places = torch.empty(sources, beams, 0, dtype=torch.int64, device=input_ids.device)

    def scores(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        """The scores of what may follow, (sources, beams, vocabulary).

        Args:
            tokens: (sources, beams), the last token of each beam.
            parents: (sources, beams), which beam of before each goes on from; None: each from itself.
        """
        network, beams, written = self._network, self._beams, self._written
        places = self._places
        if parents is not None and beams > 1:
            places = places.gather(1, parents[:, :, None].expand_as(places))
        own = torch.arange(beams, device=tokens.device)
        self._places = torch.cat([places, own[None, :, None].expand(len(tokens), -1, 1)], 2)
        mask = None
        if beams > 1:
            mask = (self._places[..., None] == own).flatten(2)[:, None]  # (sources, 1, beams, written * beams)
        x = network.decoder.embedded(tokens, written) if beams == 1 else self._embedded(tokens, written)
        for number, block in enumerate(self._blocks):
            residual, inner = block.attention_residual, block.attention
            query, key, value = inner.split(inner.inputs(residual.before(x)), 3)
            keys, values = self._grown(number, key, value)
            found = scaled_dot_product_attention(query, keys, values, mask)
            x = residual.after(x, inner.output(found.transpose(1, 2).flatten(2)))
            residual, inner = block.cross_residual, block.cross
            (query,) = inner.split(inner.query(residual.before(x)), 1)
            found = scaled_dot_product_attention(query, *self._memory[number], self._memory_mask)
            x = residual.after(x, inner.output(found.transpose(1, 2).flatten(2)))
            residual = block.feed_forward_residual
            x = residual.after(x, block.feed_forward(residual.before(x)))
        self._written += 1
        if network.decoder.last_norm is not None:
            x = network.decoder.last_norm(x)
        scores: Tensor = network.output(x)
        return scores

    def keep(self, sources: Tensor) -> None:
        """Goes on with these sources alone, in this order."""
        stop = self._written * self._beams
        self._memory = [(keys[sources], values[sources]) for keys, values in self._memory]
        self._caches = [(keys[sources, :, :stop], values[sources, :, :stop]) for keys, values in self._caches]
        self._memory_mask, self._places = self._memory_mask[sources], self._places[sources]

    def _embedded(self, tokens: Tensor, place: int) -> Tensor:
        """The vectors of all beams' tokens, which stand at the same place."""
        flat = self._network.decoder.embedded(tokens.reshape(-1, 1), place)
        return flat.view(*tokens.shape, -1)

    def _grown(self, number: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """A layer's keys and values with those of the last tokens behind them."""
        start = self._written * self._beams
        stop = start + self._beams
        keys, values = self._caches[number]
        if keys.shape[2] < stop:
            more = (0, 0, 0, ROOM * self._beams + start - keys.shape[2])
            keys, values = pad(keys, more), pad(values, more)
            self._caches[number] = keys, values
        keys[:, :, start:stop], values[:, :, start:stop] = key, value
        return keys[:, :, :stop], values[:, :, :stop]
