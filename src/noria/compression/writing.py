"""How quick artifacts write, beside each other, on this machine: a token of one answer, and tokens of many answers.

Scoring a text that is there already takes all its tokens at once, which says nothing of writing one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from noria.compression.pace import Pace, Timing
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

    def seconds(name: str, asked: Sequence[Any], size: int) -> float:
        return _seconds_a_token(runners[name], asked, size)

    timing = Timing(list(runners), seconds, 1, SIZES, TRIED, ROUNDS)  # the first one is there to warm up
    return timing.run([[request] for request in (requests[0], *requests)], requests, 1, "token", advance)


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
