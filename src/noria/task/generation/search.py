"""Looks for the likeliest continuations, with several of them at a time for each source. Knows neither networks nor
texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

NEVER = -1e9  # the score of a continuation that is none
ROUND = 8  # a large batch has a multiple of so many sources: the first product of each new shape takes long
MOSTLY = 0.8  # of a batch that has to be open: those that are done leave when more of them are
BLOCK = 64  # scores of neighbouring tokens of which only the best is looked at first


class Decoder(Protocol):
    """What gives scores: (sources, beams, vocabulary) for the last token of each beam."""

    def scores(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor: ...
    def keep(self, sources: Tensor) -> None: ...


class Shape(Protocol):
    """Changes the scores (rows, vocabulary) of some rows.

    Args:
        rows: (rows,), the number of the source that each of them is of.
        history: (rows, length), the tokens so far, with the one that all begin with.
    """

    def __call__(self, rows: Tensor, history: Tensor, scores: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Found:
    """A continuation.

    Args:
        tokens: without the first one, which was given, and without what ends it.
        score: the sum of its tokens' log-probabilities over their number to the power of the length penalty; the token
            that ends it is one of them.
    """

    tokens: list[int]
    score: float


@dataclass(frozen=True)
class Settings:
    """How continuations are looked for.

    Args:
        first: the token that all begin with; it is no part of what is found.
        stops: tokens that end one.
        beams: continuations of a source that are followed at once; 1 takes the likeliest token each time.
        length_penalty: above 0 long ones are favoured; 0 compares the sums themselves.
        never: tokens that none may hold.
        forced: tokens that each begins with, after the first.
        penalties: of tokens that were said before; on log-probabilities where beams are followed, else on the scores
            themselves, as the transformers library has it.
        draw: makes the token that chance takes the highest; for one beam.
    """

    first: int
    stops: Sequence[int]
    beams: int = 1
    length_penalty: float = 1.0
    never: Sequence[int] = ()
    forced: Sequence[int] = ()
    penalties: Shape | None = None
    draw: Shape | None = None


def search(decoder: Decoder, limits: Tensor, settings: Settings) -> list[list[Found]]:
    """Up to `beams` continuations of each source, the best first.

    It is the search of the transformers library: of the 2 · beams best continuations those among the first `beams` that
    end are kept, and the best others go on; a source is done when its best open continuation scores below its worst
    finished one. A source that is done leaves the batch. A score that is no number ends its source without any.

    Args:
        limits: (sources,), how many tokens a continuation has at most, what ends it included.
    """
    device, beams = limits.device, settings.beams
    alive = torch.arange(len(limits), device=device)
    longest = int(limits.max())
    stops = torch.tensor(list(settings.stops), device=device, dtype=torch.int64)
    found: list[list[Found]] = [[] for _ in range(len(limits))]
    open_ = torch.ones(len(limits), dtype=torch.bool, device=device)  # of those in the batch, which are not done
    history = torch.full((len(limits), beams, longest + 1), settings.first, dtype=torch.int64, device=device)
    running = torch.full((len(limits), beams), NEVER, device=device)
    running[:, 0] = 0  # at first all beams are the same
    ended = torch.full_like(running, NEVER)
    ended_history, ended_length = history.clone(), torch.zeros_like(running, dtype=torch.int64)
    parents: Tensor | None = None
    kept = 2 * beams
    for step in range(1, longest + 1):
        raw = decoder.scores(history[:, :, step - 1], parents).float()
        broken = ~torch.isfinite(raw.amax(-1)).all(1)
        best, beam, token = _best(raw, running, history[:, :, :step], kept, alive, settings)
        ends = torch.isin(token, stops) | (limits[alive] <= step)[:, None]
        # those that end, if they are among the first `beams`
        share = step**settings.length_penalty
        candidate = torch.where(ends & (torch.arange(best.shape[1], device=device) < beams), best / share, NEVER)
        scores, place = torch.cat([ended, candidate], 1).topk(beams, 1)
        # what goes on: of those that do not end the best
        running, going = (best + ends * NEVER).topk(beams, 1)
        new = history.gather(1, beam[:, :, None].expand(-1, -1, history.shape[2]))
        new[:, :, step] = token
        ended_history = torch.cat([ended_history, new], 1).gather(1, place[:, :, None].expand(-1, -1, history.shape[2]))
        lengths = torch.cat([ended_length, torch.full_like(token, step)], 1)
        ended_length, ended = lengths.gather(1, place), scores
        history = new.gather(1, going[:, :, None].expand(-1, -1, history.shape[2]))
        parents = beam.gather(1, going)
        done = (ended[:, -1] > NEVER / 2) & (running[:, 0] / share <= ended[:, -1])
        done |= (limits[alive] <= step) | broken | (running[:, 0] < NEVER / 2)
        for row in (done & open_).nonzero()[:, 0].tolist():
            if not broken[row]:
                found[int(alive[row])] = _taken(ended[row], ended_history[row], ended_length[row], settings.stops)
        open_ &= ~done
        count = int(open_.sum())
        if not count:
            break
        count = -(-count // ROUND) * ROUND if count > ROUND else count  # with some that are done
        if count > MOSTLY * len(open_):  # to leave takes a copy of all that stays
            continue
        left = (~open_).sort(stable=True).indices[:count].sort().values
        decoder.keep(left)
        open_ = open_[left]
        alive, history, running, parents = alive[left], history[left], running[left], parents[left]
        ended, ended_history, ended_length = ended[left], ended_history[left], ended_length[left]
    return found


def _best(
    raw: Tensor, running: Tensor, history: Tensor, kept: int, alive: Tensor, settings: Settings
) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of each source by one token: their scores, beams and tokens, each (sources, kept)."""
    _, beams, vocabulary = raw.shape
    place = history.shape[2] - 1
    if place < len(settings.forced):
        only = raw[..., settings.forced[place]].clone()
        raw = torch.full_like(raw, -torch.inf)
        raw[..., settings.forced[place]] = only
    rows, told = alive.repeat_interleave(beams), history.flatten(0, 1)
    if beams == 1:
        return _taken_token(raw[:, 0], running, told, rows, settings)
    scores = _shaped(raw.log_softmax(-1).flatten(0, 1), told, rows, settings)
    return highest(scores.view_as(raw), running[..., None], min(kept, beams * vocabulary))


def _taken_token(
    raw: Tensor, running: Tensor, told: Tensor, rows: Tensor, settings: Settings
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_best`, for one beam: the likeliest token, or the one that chance takes, with its own log-probability."""
    total = raw.logsumexp(-1, keepdim=True)
    scores = _shaped(raw, told, rows, settings)
    if settings.draw is not None:
        scores = settings.draw(rows, told, scores)
    taken = scores.argmax(-1, keepdim=True)  # (sources, 1)
    return running + raw.gather(1, taken) - total, torch.zeros_like(taken), taken


def _shaped(scores: Tensor, told: Tensor, rows: Tensor, settings: Settings) -> Tensor:
    """The scores (rows, vocabulary), changed in place or not, after penalties, without tokens that none may hold."""
    if settings.penalties is not None:
        scores = settings.penalties(rows, told, scores)
    for token in settings.never:
        scores[:, token] = -torch.inf
    return scores


def highest(raw: Tensor, offset: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The highest of `raw + offset` over beams and tokens of each source.

    The highest `count` lie in the `count` blocks whose own highest are highest, so only those blocks are sorted.

    Args:
        raw: (sources, beams, vocabulary).
        offset: (sources, beams, 1).
    """
    sources, beams, vocabulary = raw.shape
    blocks = -(-vocabulary // BLOCK)
    if blocks * beams <= 2 * count:
        best, place = (raw + offset).flatten(1).topk(count, 1)
        return best, place // vocabulary, place % vocabulary
    if fill := blocks * BLOCK - vocabulary:
        raw = torch.nn.functional.pad(raw, (0, fill), value=-torch.inf)
    raw = raw.view(sources, beams, blocks, BLOCK)
    tops = (raw.amax(-1) + offset).flatten(1)  # (sources, beams * blocks)
    block = tops.topk(count, 1).indices.sort(1).values  # in their order, so that of equals the first is taken
    inside = raw.flatten(1, 2).gather(1, block[..., None].expand(-1, -1, BLOCK))
    inside = inside + offset[..., 0].gather(1, block // blocks)[..., None]
    best, place = inside.flatten(1).topk(count, 1)
    block = block.gather(1, place // BLOCK)
    return best, block // blocks, block % blocks * BLOCK + place % BLOCK


def _taken(scores: Tensor, history: Tensor, lengths: Tensor, stops: Sequence[int]) -> list[Found]:
    found = []
    for score, tokens, length in zip(scores.tolist(), history.tolist(), lengths.tolist(), strict=True):
        if score > NEVER / 2:
            own = tokens[1 : length + 1]
            found.append(Found(own[:-1] if own and own[-1] in stops else own, score))
    return found
