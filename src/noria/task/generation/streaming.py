"""An answer in pieces, while its tokens come. Knows neither prompts nor models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer


def pieces(
    generate: Callable[[BaseStreamer, StoppingCriteria], Any],
    decode: Callable[[list[int]], str],
    stops: Collection[int],
) -> Iterator[str]:
    """The pieces of a text, each as soon as no later token can change it.

    Closing the iterator ends the generation.

    Args:
        generate: runs in a thread: it hands the tokens to the streamer and ends when the criterion says so.
        decode: the text of some tokens.
        stops: tokens that end an answer and are not of its text.

    Raises:
        BaseException: whatever `generate` raises, after the pieces before it.
    """
    queue: SimpleQueue[int | BaseException | None] = SimpleQueue()
    closed = threading.Event()

    def work() -> None:
        try:
            generate(_Tokens(queue), _Closed(closed))
            queue.put(None)
        except BaseException as problem:
            queue.put(problem)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        ids: list[int] = []
        text, shown = "", 0
        while (item := queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            if item in stops:
                continue
            ids.append(item)
            before, text = text, decode(ids)
            # The last token may be half a letter, and some change the space before them.
            certain = len(before.rstrip("\ufffd").rstrip())
            if certain > shown and text.startswith(before):
                yield text[shown:certain]
                shown = certain
        if text[shown:]:
            yield text[shown:]
    finally:
        closed.set()
        worker.join()


class _Tokens(BaseStreamer):
    """Hands the tokens of one answer on as they come, without those of the prompt."""

    def __init__(self, queue: SimpleQueue[Any]) -> None:
        self.queue = queue
        self.in_prompt = True

    def put(self, value: Tensor) -> None:
        if self.in_prompt:
            self.in_prompt = False
            return
        for token in value.flatten().tolist():
            self.queue.put(token)

    def end(self) -> None:
        """Nothing: what comes after the last token is the caller's to say."""


class _Closed(StoppingCriteria):
    """Stops when nobody listens any more."""

    def __init__(self, closed: threading.Event) -> None:
        self.closed = closed

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full((len(input_ids),), self.closed.is_set(), dtype=torch.bool, device=input_ids.device)
