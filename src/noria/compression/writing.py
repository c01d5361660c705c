"""How quick artifacts write, beside each other, on this machine: a token of one answer, and tokens of many answers.

Scoring a text that is there already takes all its tokens at once, which says nothing of writing one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from noria.compression.pace import Pace, in_turn
from noria.inference.runner import Runner
from noria.task.generation.sampling import Sampling

ASKED, SIZES, TRIED, ROUNDS = 16, (4, 8, 16), 1, 5
SHORT = Sampling(max_new_tokens=24)


def writing_paces(
    runners: Mapping[str, Runner], requests: Sequence[Any], advance: Callable[[int], Any] = lambda calls: None
) -> dict[str, Pace]:
    """What each takes for a token of an answer alone, and of many at its best batch size, by name.

    Args:
        runners: that write with `SHORT`, so that all answers have about the same length.
        requests: `ASKED` or fewer prompts.
    """
    alone: dict[str, list[float]] = {name: [] for name in runners}
    for number, request in enumerate([requests[0], *requests]):
        for name in in_turn(runners, number):
            taken = _seconds_a_token(runners[name], [request], 1)
            if number:  # the first is there to warm up
                alone[name].append(taken)
        advance(1)
    tried: dict[str, dict[int, float]] = {name: {} for name in runners}
    for number in range(TRIED):
        for size in SIZES:
            for name in in_turn(runners, number):
                taken = _seconds_a_token(runners[name], requests, size)
                tried[name][size] = min(taken, tried[name].get(size, taken))
            advance(1)
    best = {name: min(each, key=lambda size: each[size]) for name, each in tried.items()}
    together: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(ROUNDS):
        for name in in_turn(runners, number):
            together[name].append(_seconds_a_token(runners[name], requests, best[name]))
        advance(1)
    return {name: Pace(np.array(alone[name]), np.array(together[name]), 1, best[name], "token") for name in runners}


def writing_calls(requests: Sequence[Any]) -> int:
    """How often `writing_paces` will count, for a progress bar."""
    return 1 + len(requests) + TRIED * len(SIZES) + ROUNDS


def _seconds_a_token(runner: Runner, requests: Sequence[Any], size: int) -> float:
    started = time.perf_counter()
    answers = runner.answer(requests, size)
    taken = time.perf_counter() - started
    texts = [answer.get("response", "") for answer in answers]
    tokens = sum(len(ids) for ids in runner.tokenizer(texts, add_special_tokens=False)["input_ids"])
    return taken / max(tokens, 1)
