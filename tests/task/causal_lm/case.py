from __future__ import annotations

import json

from tests.task.case import Case

LINES = [f"film {n} was {'warm and slow' if n % 2 else 'cold and loud'}, they say" for n in range(2000)]
CHATS = [
    {"messages": [{"role": "user", "content": f"what of film {n}?"}, {"role": "assistant", "content": LINES[n]}]}
    for n in range(90)
]

PAIRS = [{"source": f"film {n}", "target": [LINES[n], "fine"]} for n in range(90)]


def case(name: str, files: dict[str, str], *words: str, column: str = "prompt") -> Case:
    return Case(
        name,
        ["task=causal_lm", "data.max_length=48", "data.val_fraction=0.2", "data.test_fraction=0.2", *words],
        files,
        "decoder",
        "AutoModelForCausalLM",
        "val/loss",
        [{column: prompt} for prompt in ("film", "a warm film", "they say", "what of film 3?")],
        {column: "film " * 900},
        [{column: ""}],
        predict=["stage.generation.max_new_tokens=4"],
    )


CASES = [
    case("text", {"lines.txt": "\n".join(LINES)}, "data=text", "data.path=lines.txt"),
    case(
        "chats",
        {"chats.jsonl": "".join(json.dumps(chat) + "\n" for chat in CHATS)},
        "data=instructions",
        "data.path=chats.jsonl",
    ),
    case(
        "pairs",
        {
            "pairs.jsonl": "".join(
                json.dumps({"source": f"film {n}", "target": [LINES[n], "fine"]}) + "\n" for n in range(90)
            )
        },
        "data=parallel",
        "data.path=pairs.jsonl",
        "task.prefix='what of '",
        "metric=[rouge1,perplexity]",
        column="source",
    ),
]
