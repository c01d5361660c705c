"""Chat templates filled in under bounds of time, memory and length, in a process of their own.

Knows what a template is given and gives, not what a conversation is.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.common.errors import UserError
from noria.data.chat import template_process

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECONDS = 2.0  # of computing, for one text
MEMORY = 1 << 30  # bytes beyond what the process has at its start
LENGTH = 1 << 24  # characters of one text

Part = tuple[int, bool]  # how many of the messages, and whether the beginning of an answer follows them


class Refused(Exception):
    """The template cannot be filled in with these messages; the text says why."""


class Runaway(UserError):
    """The template takes too long or writes too much, whatever it is given next.

    Args:
        place: which of those that it was given did that to it.
    """

    def __init__(self, said: str, place: int = 0) -> None:
        super().__init__(said)
        self.place = place


@dataclass(frozen=True)
class Asked:
    """What a template is given, and which of it is to be written: one text a part."""

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]] | None
    parts: Sequence[Part]


def filled(tokenizer: PreTrainedTokenizerBase, asked: Sequence[Asked]) -> list[list[str] | Refused]:
    """The texts that the tokenizer's chat template writes for beginnings of conversations, or why it does not.

    They are those of `apply_chat_template(messages[:stop], tools=tools, add_generation_prompt=asks, tokenize=False)`.

    Raises:
        Refused: there is no template.
        Runaway: it does not end within 2 s, or needs more than 1 GB, or writes more than 16 million characters.
    """
    templates: dict[str, int] = {}
    items = []
    for one in asked:
        tools = list(one.tools) if one.tools else None
        try:
            template = tokenizer.get_chat_template(tools=tools)
        except ValueError as error:
            raise Refused(str(error)) from None
        messages = [{key: value for key, value in each.items() if value is not None} for each in one.messages]
        number = templates.setdefault(template, len(templates))
        items.append({"template": number, "tools": tools, "messages": messages, "parts": list(one.parts)})
    limits = {"seconds": SECONDS, "memory": MEMORY, "length": LENGTH}
    request = {"templates": list(templates), "special": tokenizer.special_tokens_map, **limits}
    answers = _PROCESS.ask(json.dumps({**request, "items": items}, default=str))
    if isinstance(answers, str):
        if len(asked) > 1:  # which of them was it?
            return [_alone(tokenizer, one, place) for place, one in enumerate(asked)]
        answers = [{"runaway": answers}]
    return [_found(answer, place) for place, answer in enumerate(answers)]


def _alone(tokenizer: PreTrainedTokenizerBase, one: Asked, place: int) -> list[str] | Refused:
    try:
        return filled(tokenizer, [one])[0]
    except Runaway as said:
        raise Runaway(str(said), place) from None


def _found(answer: dict[str, Any], place: int) -> list[str] | Refused:
    if "runaway" in answer:
        way = {
            "time": f"it has not come to an end within {SECONDS:g} s of computing",
            "memory": f"it needs more than {MEMORY >> 30} GB of memory or writes more than {LENGTH >> 20} MB",
        }[answer["runaway"]]
        raise Runaway(f"the chat template runs away: {way}.", place)
    return Refused(" ".join(answer["refused"].split())) if "refused" in answer else list(answer["texts"])


class _Process:
    """The process that fills them in, started when it is first asked, and again where it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: subprocess.Popen[str] | None = None
        self._owner = 0  # a child of this process asks one of its own
        atexit.register(self.end)

    def ask(self, request: str) -> list[dict[str, Any]] | str:
        """The answers to a request, or what it needed too much of: "time" or "memory"."""
        with self._lock:
            if self._running is None or self._owner != os.getpid() or self._running.poll() is not None:
                self._start()
            assert self._running is not None and self._running.stdin and self._running.stdout
            with contextlib.suppress(BrokenPipeError):
                self._running.stdin.write(request + "\n")
                self._running.stdin.flush()
            line = self._running.stdout.readline()
            if line:
                found: list[dict[str, Any]] = json.loads(line)
                return found
            status = self._running.wait()
            self._running = None
            return "time" if status == -signal.SIGPROF else "memory"

    def _start(self) -> None:
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._running = subprocess.Popen(
            [sys.executable, "-P", str(Path(template_process.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={**os.environ, **single},
            start_new_session=True,  # Ctrl-C is for the one that asks
        )
        self._owner = os.getpid()
        assert self._running.stdout is not None
        if self._running.stdout.readline() != "ready\n":
            raise RuntimeError(f"{sys.executable} {template_process.__file__} could not be started")

    def end(self) -> None:
        """Ends the process, where it is this one's."""
        if self._running is not None and self._owner == os.getpid():
            with contextlib.suppress(OSError):
                self._running.kill()
                self._running.wait()
            self._running = None


_PROCESS = _Process()
