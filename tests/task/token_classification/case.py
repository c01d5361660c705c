from __future__ import annotations

import json
import random

from tests.task.case import Case

DRAW = random.Random(0)
NAMES = {"PER": ["Ada", "Alan Turing", "Grace"], "LOC": ["Paris", "New York", "Oslo"]}


def sentence(number: int) -> tuple[list[str], list[str]]:
    """Words with their tags: a person, a place, or both."""
    words, tags = [], []
    for kind in DRAW.sample(["PER", "LOC", "", ""], 3):
        found = DRAW.choice(NAMES[kind]).split() if kind else ["went", "there", str(number)]
        words += found
        tags += [f"{'I' if place else 'B'}-{kind}" for place in range(len(found))] if kind else ["O"] * len(found)
    return words, tags


SENTENCES = [sentence(number) for number in range(140)]
CONLL = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in zip(*each, strict=True)) for each in SENTENCES)
ASKED = [
    {"text": "Ada went there"},
    {"text": ["New", "York", "went", "there"]},
    {"text": "went there, Grace!"},
    {"text": "\u4e2d\u6587 Oslo"},
]
LONG = {"text": "Ada went there " * 60}


def spans(words: list[str], tags: list[str]) -> dict[str, object]:
    """The same as a text with spans of characters."""
    text, found = " ".join(words), []
    for place, tag in enumerate(tags):
        start = len(" ".join(words[:place])) + (place > 0)
        end = start + len(words[place])
        if tag.startswith("B-"):
            found.append({"start": start, "end": end, "label": tag[2:]})
        elif tag.startswith("I-"):
            found[-1]["end"] = end
    return {"text": text, "label": found}


def case(name: str, files: dict[str, str], monitor: str, *words: str) -> Case:
    return Case(
        name, [*words, "task=token_classification", "data.max_length=32"], files, "encoder",
        "AutoModelForTokenClassification", monitor, ASKED, LONG, [{"text": ""}, {"text": ["a", " "]}],
        ("", " ", 3, None, "a\0b", ["New", "York"], {"text": "a"}),
    )  # fmt: skip


ROWS = [{"text": words, "label": tags} for words, tags in SENTENCES]
PARTS = [{"text": words, "label": ["NAME" if tag != "O" else "WORD" for tag in tags]} for words, tags in SENTENCES]


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


CASES = [
    case("conll", {"rows.conll": CONLL}, "val/entity_f1", "data=conll", "data.path=rows.conll"),
    case(
        "spans",
        {"rows.jsonl": lines([spans(*each) for each in SENTENCES])},
        "val/entity_f1",
        "data=table",
        "data.path=rows.jsonl",
    ),
    case(
        "plain tags",
        {"rows.jsonl": lines(PARTS)},
        "val/token_accuracy",
        "data=table",
        "data.path=rows.jsonl",
        "metric=[token_accuracy]",
        "monitor.metric=val/token_accuracy",
    ),
]
