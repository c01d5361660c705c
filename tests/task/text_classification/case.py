from __future__ import annotations

import random

from tests.task.case import Case

WORDS = ["warm", "cold", "loud", "slow", "odd"]
DRAW = random.Random(0)
ROWS = [sorted(DRAW.sample(WORDS, DRAW.randint(1, 4))) for _ in range(120)]
TEXTS = [f"film {number} was {' and '.join(row)}" for number, row in enumerate(ROWS)]


def table(labels: list[str]) -> str:
    return "\n".join(["text,label", *(f"{text},{label}" for text, label in zip(TEXTS, labels, strict=True))]) + "\n"


def case(name: str, task: str, labels: list[str], monitor: str, *more: str) -> Case:
    words = ["data=table", "data.path=rows.csv", "data.max_length=32", f"task={task}", *more]
    asked = [{"text": text} for text in ("a warm film", "odd", "slow " * 9, "cold and loud", "\u4e2d\u6587 film")]
    long, blank = {"text": "warm " * 90}, [{"text": ""}, {"text": "  "}]
    return Case(
        name, words, {"rows.csv": table(labels)}, "encoder", "AutoModelForSequenceClassification", monitor, asked,
        long, blank, ("", " ", 3, None, "a\0b", {"text": "a"}),
    )  # fmt: skip


CASES = [
    case("one label", "text_classification", [WORDS[n % 3] for n in range(120)], "val/accuracy"),
    case("several labels", "multilabel_classification", ["|".join(row[:2]) for row in ROWS], "val/f1"),
    case("a number", "text_regression", [f"{len(row) / 4}" for row in ROWS], "val/pearson"),
]
