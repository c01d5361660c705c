"""Corrections of answers as votes on which words of a passage answer a question, and the rows that come of them.

Passages are told apart, and answers named, by their words, so that two clients who select a blank more or less agree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from noria.data.rows.rows import Rows
from noria.data.rows.split import normalise
from noria.data.source.squad import ANSWERS, SPAN
from noria.data.source.votes import Believed
from noria.feedback.masked import KEY as MASKED
from noria.feedback.masked import kept_span, pieces_of
from noria.task.words import covered, places

NAMES = ("text", "text_pair")


class QuestionAnsweringBallot:
    """Votes for one answer to a question on a passage. A label is the JSON of its first word's number and of the one
    after its last; `null` says that there is no answer.

    Args:
        no_answer: whether a question may have none.
    """

    choices: Sequence[str] | None = None
    several_right = True  # the words around an answer are often as right

    def __init__(self, no_answer: bool) -> None:
        self._no_answer = no_answer

    def read(self, request: dict[str, Any] | None) -> tuple[dict[str, Any], str | None]:
        if not request or not all(request.get(name) for name in NAMES):
            return {}, "no_text"
        return {name: request[name] for name in (*NAMES, MASKED) if name in request}, None

    def place(self, request: dict[str, Any]) -> str:
        text = request["text"]
        words = (text[start:end] for start, end in places(text, None))
        return "\0".join([normalise(request["text_pair"]), *words])

    def vote(
        self, request: dict[str, Any], answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[str, bool] | None:
        said = answer if correct or correction is None else correction
        pieces = pieces_of(request, "text")
        span = kept_span(said["start"], said["end"], pieces) if said["end"] else None
        label = self._label(request["text"], span)
        return None if label is None else (label, not correct and correction is None)

    def requests(self, rows: Rows) -> list[dict[str, Any]]:
        return [dict(zip(NAMES, each, strict=True)) for each in zip(rows.texts, rows.pairs or [], strict=True)]

    def known(self, rows: Rows) -> list[str | None]:
        firsts = [each[0] if each else None for each in rows.table[ANSWERS].to_pylist()]
        spans = [None if one is None else (one["start"], one["start"] + len(one["text"])) for one in firsts]
        return [self._label(text, span) for text, span in zip(rows.texts, spans, strict=True)]

    def rows(self, believed: Sequence[Believed]) -> dict[str, pa.Array]:
        columns = {name: pa.array([one.request[name] for one in believed], pa.string()) for name in NAMES}
        answers = [_answers(one.request["text"], json.loads(one.label)) for one in believed]
        return {**columns, ANSWERS: pa.array(answers, pa.list_(SPAN))}

    def _label(self, text: str, span: tuple[int, int] | None) -> str | None:
        """The label of a span of characters; None of one that covers no word, and of none where there has to be one."""
        if span is None:
            return json.dumps(None) if self._no_answer else None
        found = covered([(*span, "")], places(text, None))
        return json.dumps(found[0][:2]) if found else None


def _answers(text: str, words: list[int] | None) -> list[dict[str, Any]]:
    if words is None:
        return []
    of = places(text, None)
    start, end = int(of[words[0], 0]), int(of[words[1] - 1, 1])
    return [{"text": text[start:end], "start": start}]
