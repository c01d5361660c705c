from __future__ import annotations

import json
import random
from typing import Any

from tests.task.case import Case

DRAW = random.Random(0)
PEOPLE, TOWNS = ("Ada", "Alan Turing", "Grace"), ("Paris", "New York", "Oslo")


def article(number: int, impossible: bool) -> dict[str, Any]:
    """A passage with a person and a town, and a question about each; about a third of the persons are not there."""
    person, town = DRAW.choice(PEOPLE), DRAW.choice(TOWNS)
    there = not impossible or DRAW.random() < 0.7
    passage = f"Film {number}: {person if there else 'nobody'} went to {town}, and on."
    questions = []
    for asked, said in (("who went", person if there else None), ("where to", town)):
        answers = [] if said is None else [{"text": said, "answer_start": passage.index(said)}]
        questions.append({"id": f"{number}{asked}", "question": asked, "answers": answers})
    return {"title": f"film {number}", "paragraphs": [{"context": passage, "qas": questions}]}


def squad(impossible: bool) -> str:
    return json.dumps({"version": "1", "data": [article(number, impossible) for number in range(70)]})


ASKED = [
    {"context": "Ada went there", "question": "who went"},
    {"context": "Grace went to Oslo.", "question": "where to"},
    {"context": "there \u4e2d\u6587, and on: New York", "question": "where to"},
    {"context": "Ada", "question": "who went"},
]
LONG = {"context": "Ada went there " * 60, "question": "who went"}
NOTHING = [{"context": "", "question": "who went"}, {"context": "Ada", "question": " "}]
WRONG = (
    "",
    "a text",
    3,
    None,
    ["a", "b"],
    {"context": "a"},
    {"context": "a", "question": " "},
    {"context": 1, "question": "a"},
)


def case(name: str, impossible: bool) -> Case:
    words = ["task=question_answering", "task.stride=8", "data=squad", "data.path=rows.json", "data.max_length=32"]
    return Case(
        name, words, {"rows.json": squad(impossible)}, "encoder", "AutoModelForQuestionAnswering", "val/answer_f1",
        ASKED, LONG, NOTHING, WRONG,
    )  # fmt: skip


CASES = [case("answers", False), case("some without an answer", True)]
