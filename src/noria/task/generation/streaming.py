"""An answer in pieces, while its tokens come. Knows neither prompts nor models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from torch import Tensor

from noria.task.generation.search import Decoder


def pieces(
    generate: Callable[[Callable[[int], None]], list[int]],
    decode: Callable[[list[int]], str],
) -> Iterator[str]:
    """The pieces of a text, each as soon as no later token can change it.

    Closing the iterator ends the generation.

    Args:
        generate: runs in a thread, hands the tokens of the answer on as they come, and gives back all of them.
        decode: the text of some tokens.

    Raises:
        BaseException: whatever `generate` raises, after the pieces before it.
    """
    queue: SimpleQueue[int | BaseException | None] = SimpleQueue()
    closed = threading.Event()

    told = 0

    def tell(token: int) -> None:
        nonlocal told
        if closed.is_set():
            raise _Closed
        told += 1
        queue.put(token)

    def work() -> None:
        try:
            for token in generate(tell)[told:]:
                queue.put(token)
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


class Heard:
    """A decoder, of one beam of one source, that tells each token when it is asked what follows it."""

    def __init__(self, decoder: Decoder, tell: Callable[[int], None]) -> None:
        self._decoder, self._tell = decoder, tell
        self._begun = False

    def scores(self, tokens: Tensor, parents: Tensor | None = None) -> Tensor:
        if self._begun:  # before, it is what stands in the place of the prompt
            self._tell(int(tokens))
        self._begun = True
        return self._decoder.scores(tokens, parents)

    def keep(self, sources: Tensor) -> None:
        self._decoder.keep(sources)


class _Closed(Exception):
    """Nobody listens any more."""
