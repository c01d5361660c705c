"""A served model that answers questions: a question and a passage in, a span of the passage out, spans as
corrections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from noria.common.errors import UserError
from noria.feedback.masked import kept_span, pieces_of, sent_length
from noria.task.question_answering.reading import COLUMNS
from noria.task.service import TEXT, WORDS, Schema, Service, checked_text

if TYPE_CHECKING:
    from noria.task.question_answering.form import QuestionAnsweringForm

KEYS = ("start", "end")
PLACE = {"type": "integer", "minimum": 0}
NONE = "none"  # the group of answers that there is no answer
FEW = 3  # words of a short answer


class QuestionAnsweringService(Service):
    """A request is `{"text": …, "text_pair": …}`, the passage and the question; clients send them as `context` and
    `question`. An answer has `answer`, the text, with `start` and `end` and its `score`; and `answers`, the likeliest
    ones, of which it is the first.

    Places count characters (Unicode code points) of the passage as it was sent, from 0; the end is not included. Both
    are 0 where there is no answer. A correction is such a span.
    """

    asks = "inputs"
    corrects = "answer"
    places = ("text",)
    writes = True
    pieces: ClassVar[tuple[Path, ...]] = (WORDS, Path(__file__).parent / "page.html")

    def __init__(self, form: QuestionAnsweringForm) -> None:
        self._form = form

    def described(self) -> dict[str, Any]:
        return {"kind": "spans", "labels": [], "no_answer": bool(self._form.no_answer)}

    def request_schema(self) -> Schema:
        return _object(dict.fromkeys(COLUMNS, TEXT))

    def answer_schema(self) -> Schema:
        span = {"answer": {"type": "string"}, "start": PLACE, "end": PLACE, "score": {"type": "number"}}
        said = "likely answers, of which the first is given"
        return {**span, "answers": {"type": "array", "items": _object(span), "description": said}}

    def correction_schema(self, named: bool) -> Schema:
        said = "in the passage as it was sent: characters, from 0; both 0: it has no answer"
        return {**_object(dict.fromkeys(KEYS, PLACE)), "description": said}

    def examples(self) -> list[Any]:
        texts = ["A noria lifts water. The stream itself drives it.", "Fine.", "word " * 600]
        return [{"context": text, "question": "What drives a noria?"} for text in texts]

    def request(self, given: Any, name: str) -> dict[str, Any]:
        if not isinstance(given, dict) or {*given} != {*COLUMNS}:
            raise UserError(f'{name} must be an object such as {{"context": "a passage", "question": "a question"}}.')
        context, question = (checked_text(given[key], f"{name}: {key}") for key in COLUMNS)
        return {"text": context, "text_pair": question}

    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply["answers"][0], "answers": reply["answers"]}

    def correction(self, given: Any) -> Any:
        form = 'answer must be a span of the passage such as {"start": 0, "end": 12}'
        if not isinstance(given, dict) or {*given} != {*KEYS} or not all(type(given[name]) is int for name in KEYS):
            raise UserError(f"{form}.")
        if given["start"] == given["end"] == 0:
            if not self._form.no_answer:
                raise UserError("This model was trained on questions that all have an answer: name its words.")
        elif not 0 <= given["start"] < given["end"]:
            raise UserError(f"{form}: whole numbers, 0 or more, and start below end.")
        return {name: given[name] for name in KEYS}

    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        if correction is None:
            return correct, None
        if request is not None and correction["end"]:
            pieces = pieces_of(request, "text")
            length = sent_length(request["text"], pieces)
            if correction["end"] > length:
                raise UserError(f"{json.dumps(correction)} ends behind the passage, which has {length:,} characters.")
            start, end = kept_span(correction["start"], correction["end"], pieces)
            if not request["text"][start:end].strip():
                raise UserError(f"{json.dumps(correction)} covers no word of the passage.")
        same = all(answer[name] == correction[name] for name in KEYS)
        return (True, None) if same else (False, correction)

    def text(self, request: dict[str, Any]) -> str:
        return f"{request['text_pair']} {request['text']}" if request else ""

    def group(self, answer: dict[str, Any]) -> str:
        """How long the answer is, in words."""
        words = len(answer["answer"].split())
        return NONE if not answer["end"] else "short" if words <= FEW else "long"


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
