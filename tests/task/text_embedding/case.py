from __future__ import annotations

import json
import random

from tests.task.case import Case

DRAW = random.Random(0)
PEOPLE, TOWNS = ("superb", "great fun", "warm", "odd"), ("dull", "stale pepper", "quartz", "zebra")


def pair(number: int) -> dict[str, object]:
    """A question with the sentence that answers it, and one that does not."""
    person, town, other = DRAW.choice(PEOPLE), DRAW.choice(TOWNS), DRAW.choice(PEOPLE)
    wrong = f"the {other} film of number {number + 500} was {DRAW.choice(TOWNS)}"
    return {
        "query": f"which film was {town} {number}",
        "document": f"the {person} film of number {number} was {town}",
        "negatives": [wrong],
    }


def similar(number: int) -> dict[str, object]:
    """Two texts and how many of three words they share."""
    words = DRAW.sample([*PEOPLE, *TOWNS], 6)
    shared = number % 4
    first, second = words[:3], [*words[:shared], *words[3 : 6 - shared]]
    return {"a": f"film {number}: {' '.join(first)}", "b": f"film: {' '.join(second)}", "score": shared + 0.5}


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


PAIRS, SIMILAR = lines([pair(number) for number in range(140)]), lines([similar(number) for number in range(140)])
ASKED = [{"text": text} for text in ("a superb film", "zebra", "\u4e2d\u6587 film", "the film")]
LONG = {"text": "a dull film " * 60}
COMPARED = [{"a": one["text"], "b": "a warm film"} for one in ASKED]


def case(name: str, monitor: str, *words: str) -> Case:
    files = {"pairs.jsonl": PAIRS, "similar.jsonl": SIMILAR}
    similarity = "task=similarity" in words
    of_pairs = ["data=pairs", "data.path=pairs.jsonl"]
    of_numbers = ["data=table", "data.path=similar.jsonl", "data.text=[a,b]", "data.label=score"]
    return Case(
        name, [*words, *(of_numbers if similarity else of_pairs), "data.max_length=32"], files, "encoder", "AutoModel",
        monitor, COMPARED if similarity else ASKED, {"a": LONG["text"], "b": "dull"} if similarity else LONG,
        [{"a": "", "b": "x"}, {"a": "x", "b": " "}] if similarity else [{"text": ""}],
    )  # fmt: skip


CASES = [
    case("retrieval", "val/mrr", "task=embedding", "task.query_prompt='q: '", "task.pooling=first"),
    case(
        "triplets", "val/mrr", "task=embedding", "task.loss=triplet", "data.negatives=negatives", "task.pooling=first"
    ),
    case("similarity", "val/spearman", "task=similarity"),
    case("squared", "val/pearson", "task=similarity", "task.loss=squared", "task.pooling=last"),
]
