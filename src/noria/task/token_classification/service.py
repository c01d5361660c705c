"""A served tagger: texts in, entities out as spans of characters, spans as corrections."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from noria.common.errors import UserError
from noria.feedback.masked import kept_span, pieces_of, sent_length
from noria.feedback.text import LABEL_LIMIT, storable
from noria.metric.tags import OUTSIDE
from noria.task.service import TEXT, WORDS, Schema, Service, checked_text, listed
from noria.task.words import covered, places

if TYPE_CHECKING:
    from noria.task.token_classification.form import TokenClassificationForm

KEYS = ("start", "end", "type")
PLACE = {"type": "integer", "minimum": 0}
NONE = "none"  # the group of answers without an entity


class TokenClassificationService(Service):
    """A request is `{"text": …}`; an answer has `entities`, each with `start` and `end`, `type` and `score`.

    Places count characters (Unicode code points) of the text as it was sent, from 0; the end is not included. A
    correction is all entities of the text, without scores.
    """

    corrects = "entities"
    places = ("text",)
    pieces: ClassVar[tuple[Path, ...]] = (WORDS, Path(__file__).parent / "page.html")

    def __init__(self, form: TokenClassificationForm) -> None:
        self._form = form

    def check(self) -> None:
        if odd := [label for label in self._form.labels if not label.strip() or storable(label) != label]:
            raise UserError(f"the tag {odd[0]!a} is blank, or holds what no JSON and no database can hold.")

    def described(self) -> dict[str, Any]:
        return {"kind": "tags", "labels": self._form.types, "every_word": self._every_word}

    @property
    def _every_word(self) -> bool:
        """Whether each word has a tag, so that no word may be left without one."""
        return OUTSIDE not in self._form.labels

    def request_schema(self) -> Schema:
        return TEXT

    def answer_schema(self) -> Schema:
        spans = _spans({**_span({"type": "string"}), "score": {"type": "number"}})
        return {"entities": {**spans, "description": "in the text as it was sent: characters, from 0"}}

    def correction_schema(self, named: bool) -> Schema:
        return _spans(_span({"enum": self._form.types} if named else {"type": "string"}))

    def examples(self) -> list[str]:
        return ["Ada Lovelace lived in London.", "Fine.", "word " * 600]

    def request(self, given: Any, name: str) -> dict[str, Any]:
        return {"text": checked_text(given, name)}

    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {"entities": reply["entities"]}

    def correction(self, given: Any) -> Any:
        form = "a list of spans such as " + json.dumps({"start": 0, "end": 12, "type": (self._form.types or [""])[0]})
        if not isinstance(given, list):
            raise UserError(f"entities must be {form}.")
        types = {*self._form.types}
        for one in given:
            if not isinstance(one, dict) or {*one} != {*KEYS}:
                raise UserError(f"entities must be {form}: {_shown(one)} is none.")
            if not all(type(one[name]) is int for name in ("start", "end")) or not 0 <= one["start"] < one["end"]:
                raise UserError(f"start and end must be whole numbers, 0 or more, and start below end: {_shown(one)}.")
            if not isinstance(one["type"], str) or one["type"] not in types:
                raise UserError(f"type must be one of the model's: {listed(self._form.types)}.")
        if len(json.dumps(given)) > LABEL_LIMIT:  # before each of them is looked up in the text
            raise UserError(f"entities must have at most {LABEL_LIMIT:,} characters as JSON.")
        found = sorted(({name: one[name] for name in KEYS} for one in given), key=lambda one: one["start"])
        for before, after in pairwise(found):
            if after["start"] < before["end"]:
                raise UserError(f"{_shown(before)} and {_shown(after)} share characters: a word has one tag.")
        return found

    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        if correction is None:
            return correct, None
        if request is not None:
            self._refuse_elsewhere(request, correction)
        said = [{name: one[name] for name in KEYS} for one in answer["entities"]]
        return (True, None) if said == correction else (False, correction)

    def _refuse_elsewhere(self, request: dict[str, Any], correction: list[dict[str, Any]]) -> None:
        """Refuses spans that are none of this text's words."""
        pieces = pieces_of(request, "text")
        length = sent_length(request["text"], pieces)
        if outside := [one for one in correction if one["end"] > length]:
            raise UserError(f"{_shown(outside[0])} ends behind the text, which has {length:,} characters.")
        of = places(request["text"], None)
        spans = [(*kept_span(one["start"], one["end"], pieces), one["type"]) for one in correction]
        for one, span in zip(correction, spans, strict=True):
            if not covered([span], of):
                raise UserError(f"{_shown(one)} covers no word of the text.")
        words = [word for start, end, _ in covered(spans, of) for word in range(start, end)]
        if not pieces and len(words) > len({*words}):
            raise UserError("Two of the entities share a word, and a word has one tag.")
        if self._every_word and len({*words}) < len(of):
            raise UserError("Every word has a tag in this model: give one for each, also for those that were right.")

    def text(self, request: dict[str, Any]) -> str:
        return str(request["text"])

    def group(self, answer: dict[str, Any]) -> str:
        """The type that most of the entities have, the first of several."""
        types = [one["type"] for one in answer["entities"]]
        return max(types, key=types.count) if types else NONE


def _span(kind: Schema) -> dict[str, Schema]:
    return {"start": PLACE, "end": {**PLACE, "minimum": 1}, "type": kind}


def _spans(properties: dict[str, Schema]) -> Schema:
    one = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "array", "items": one}


def _shown(one: Any) -> str:
    text = json.dumps(one, ensure_ascii=True)
    return text if len(text) <= 80 else text[:80] + "…"
