from __future__ import annotations

import json
import random

from tests.task.case import Case

DRAW = random.Random(0)
WORDS = {"two": "zwei", "dogs": "Hunde", "cats": "Katzen", "run": "laufen", "sleep": "schlafen", "here": "hier"}


def sentence() -> tuple[str, str]:
    """A source and its translation, word by word."""
    words = DRAW.choices(list(WORDS), k=DRAW.randint(2, 7))
    return " ".join(words) + ".", " ".join(WORDS[word] for word in words) + "."


PAIRS = [sentence() for _ in range(160)]
ASKED = ("two dogs run.", "cats sleep here here.", "x", "\u4e2d\u6587 dogs")


def case(name: str, files: dict[str, str], source: str, *words: str) -> Case:
    """A case whose inputs have a column of this name."""
    ends = ["data.max_length=24", "data.val_fraction=0.2", "data.test_fraction=0.2"]
    ends += ["task.generation.max_new_tokens=12", "task.generation.num_beams=3"]
    return Case(
        name, ["task=seq2seq", "data=parallel", *ends, *words], files, "both", "AutoModelForSeq2SeqLM", "val/chrf",
        [{source: text} for text in ASKED], {source: "two dogs run here " * 40}, [{source: ""}, {source: "  "}],
        ("", " ", 3, None, "a\0b", ["two"], {"text": "a"}),
    )  # fmt: skip


SIZES = ["model.d_model=16", "model.num_heads=2", "model.d_ff=32", "model.num_encoder_layers=1"]
SIZES += [
    "model.num_decoder_layers=1",
    "model.vocabulary.size=330",
    "model.max_position_embeddings=64",
    "model.dropout=0.0",
]
ROWS = [{"source": [first, "here."], "target": [second, f"{second} Ja."]} for first, second in PAIRS]

CASES = [
    case(
        "parallel files",
        {"rows.en": "\n".join(one for one, _ in PAIRS), "rows.de": "\n".join(other for _, other in PAIRS)},
        "en", "data.path=rows", "data.source=en", "data.target=de", "model=transformer", *SIZES,
    ),
    case(
        "references",
        {"rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS)},
        "source", "data.path=rows.jsonl", "task.generate_in_validation=true",
        "monitor.metric=val/chrf", "monitor.mode=max", "task.prefix='say: '",
    ),
]  # fmt: skip
