"""Corrections of tags as votes on what the tags of a text are, and the rows that come of them.

Texts are told apart and tagged by their words, so that two clients who select a blank more or less agree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa

from noria.data.rows.rows import WORDS, Rows
from noria.data.source.votes import Believed
from noria.feedback.masked import KEY as MASKED
from noria.feedback.masked import kept_span, pieces_of
from noria.metric.tags import OUTSIDE, bio, entities, has_prefixes
from noria.task.words import covered, places

Span = tuple[int, int, str]


class TokenClassificationBallot:
    """Votes for all tags of a text together. A label is the JSON of one tag for each word.

    Args:
        labels: the tags that the model knows.
    """

    choices: Sequence[str] | None = None
    several_right = False

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = {*labels}
        self._prefixed = has_prefixes(labels)

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        text = (request or {}).get("text")
        if not text:
            return {}, "no_text"
        assert request is not None
        return {name: request[name] for name in ("text", MASKED) if name in request}, None

    def place(self, request: dict[str, Any]) -> str:
        """The words of the text: what stands between them makes no difference."""
        text = request["text"]
        return "\0".join(text[start:end] for start, end in places(text, None))

    def vote(
        self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[str, bool] | None:
        said = answer["entities"] if correct or correction is None else correction
        pieces = pieces_of(request, "text")
        spans = [(*kept_span(one["start"], one["end"], pieces), one["type"]) for one in said]
        label = self._label(request["text"], spans)
        return None if label is None else (label, not correct and correction is None)

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        return [{"text": text} for text in rows.texts]

    def known(self, rows: Rows) -> list[str | None]:
        words = rows.table[WORDS].to_pylist() if WORDS in rows.table.column_names else [None] * len(rows)
        found = []
        for text, given, tags in zip(rows.texts, words, rows.table["label"].to_pylist(), strict=True):
            of = places(text, given)
            spans = entities(tags) if self._prefixed else [(n, n + 1, tag) for n, tag in enumerate(tags)]
            in_text = [(int(of[start, 0]), int(of[end - 1, 1]), kind) for start, end, kind in spans]
            found.append(self._label(text, in_text))
        return found

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        strings = pa.list_(pa.string())
        return {
            "text": pa.array([one.request["text"] for one in believed], pa.string()),
            WORDS: pa.nulls(len(believed), strings),  # those of the text itself
            "label": pa.array([json.loads(one.label) for one in believed], strings),
        }

    def _label(self, text: str, spans: Sequence[Span]) -> str | None:
        """The label that spans of characters make; None where they are none of the model's, or share a word.

        They share words where what they stood in has been masked: those of one type are one then, and of several types
        nobody knows any more which is which.
        """
        of = places(text, None)
        in_words = covered(spans, of)
        found = sorted({*in_words})
        if len(in_words) < len(spans) or any(after[0] < before[1] for before, after in pairwise(found)):
            return None
        tags = bio(found, len(of))
        if not self._prefixed:
            tags = [OUTSIDE] * len(of)
            for start, end, kind in found:
                tags[start:end] = [kind] * (end - start)
        return json.dumps(tags, ensure_ascii=False) if {*tags} <= self._labels else None
