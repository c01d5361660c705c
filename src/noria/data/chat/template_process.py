"""A process that fills in chat templates: run as a script, it reads a request a line and answers each with a line.

A template is a program that comes with a model. It runs in transformers' sandbox, which keeps it from everything but
its input, and here, where neither a loop nor a text without end can hurt the process that asks.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any


def main() -> None:
    """Answers until the input ends. A request that takes too long ends the process."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library may print is no answer
    from transformers.utils.chat_template_utils import render_jinja_template

    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        _limit_memory(request["memory"])
        found = [_answer(render_jinja_template, request, item) for item in request["items"]]
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _answer(render: Any, request: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"texts": [_fill(render, request, item, *part) for part in item["parts"]]}
    except MemoryError:
        return {"runaway": "memory"}
    except Exception as error:
        return {"refused": str(error) or type(error).__name__}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _fill(render: Any, request: dict[str, Any], item: dict[str, Any], stop: int, asks: bool) -> str:
    """The first `stop` messages as text, with the beginning of an answer where it is asked for."""
    signal.setitimer(signal.ITIMER_PROF, request["seconds"])  # of computing; then the process ends, in C code too
    texts, _ = render(
        conversations=[item["messages"][:stop]],
        tools=item["tools"],
        chat_template=request["templates"][item["template"]],
        add_generation_prompt=asks,
        **request["special"],
    )
    if len(texts[0]) > request["length"]:
        raise MemoryError
    return str(texts[0])


def _limit_memory(more: int) -> None:
    """Lets the process grow by so many bytes beyond what it has when it first asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY and os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, hard))


if __name__ == "__main__":
    main()
