"""A served index: queries in, documents out, one of them as a correction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from noria.common.errors import UserError, did_you_mean
from noria.index.search import MODES
from noria.task.service import TEXT, Schema, Service, checked_text

MOST = 100  # documents of an answer
KEYS = {"query", "filters", "count", "mode"}
HELD: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("bool", (bool,)), ("int", (int,)), ("double", (int, float)), ("string", (str,)),
)  # fmt: skip
"""What a value may be, by how the name of a column's type begins."""


class SearchService(Service):
    """A request is `{"text": …}`, the query, with `filters`, `count` and `mode` where they were said. An answer has
    `hits`, the best first, and `answer` where a model that answers questions stands beside the index. A correction is
    the id of the document that should have come first: one of those that were found.

    Args:
        count: documents of an answer where a query does not say it.
        columns: by which may be filtered, and what each holds.
    """

    asks = "query"
    corrects = "document"
    also = "/search"
    pieces: ClassVar[tuple[Path, ...]] = (Path(__file__).parent / "page.html",)

    def __init__(self, count: int, columns: Mapping[str, str]) -> None:
        self._count, self._columns = count, columns

    def described(self) -> dict[str, Any]:
        return {"kind": "search", "labels": [], "count": self._count, "filters": dict(self._columns)}

    def request_schema(self) -> Schema:
        values: Schema = {"type": ["string", "number", "boolean", "array", "null"]}
        more = {
            "filters": {
                "type": "object",
                "additionalProperties": values,
                "description": "by column a value, or several",
            },
            "count": {"type": "integer", "minimum": 1, "maximum": MOST},
            "mode": {"enum": list(MODES)},
        }
        asked = {"type": "object", "properties": {"query": TEXT, **more}, "required": ["query"]}
        return {"oneOf": [TEXT, {**asked, "additionalProperties": False}]}

    def answer_schema(self) -> Schema:
        own = {name: {"type": "string"} for name in ("id", "title", "passage")} | {"score": {"type": "number"}}
        hit = {"type": "object", "properties": own, "required": list(own)}
        return {"hits": {"type": "array", "items": hit}, "answer": {"type": ["object", "null"]}}

    def correction_schema(self, named: bool) -> Schema:
        return {**TEXT, "description": "the id of one of the hits"}

    def examples(self) -> list[Any]:
        return ["how does a noria lift water", {"query": "fine", "count": 1}, "word " * 600]

    def request(self, given: Any, name: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            return {"text": checked_text(given, name)}
        if unknown := sorted({*given} - KEYS):
            raise UserError(f"{name} has the key '{unknown[0]}': it may have {', '.join(sorted(KEYS))}.")
        found: dict[str, Any] = {"text": checked_text(given.get("query"), f"{name}: query")}
        if "filters" in given:
            if not isinstance(given["filters"], dict):
                raise UserError(f'{name}: filters must be an object such as {{"year": 1958}}.')
            found["filters"] = self._checked(given["filters"], name)
        if "count" in given:
            if type(given["count"]) is not int or not 1 <= given["count"] <= MOST:
                raise UserError(f"{name}: count must be a whole number from 1 to {MOST}.")
            found["count"] = given["count"]
        if "mode" in given:
            if given["mode"] not in MODES:
                raise UserError(f"{name}: mode must be one of {', '.join(MODES)}.")
            found["mode"] = given["mode"]
        return found

    def _checked(self, filters: dict[str, Any], name: str) -> dict[str, Any]:
        for column, wanted in filters.items():
            if column not in self._columns:
                raise UserError(f"{name}: no document has '{column}'. {did_you_mean(column, list(self._columns))}")
            kind = self._columns[column]
            fits = next((types for begin, types in HELD if kind.startswith(begin)), ())
            for value in wanted if isinstance(wanted, list) else [wanted]:
                if type(value) not in fits:
                    raise UserError(f"{name}: '{column}' holds {kind}, and {json.dumps(value)[:60]} is none of that.")
        return filters

    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {"hits": reply["hits"], "answer": reply.get("answer")}

    def correction(self, given: Any) -> Any:
        return checked_text(given, self.corrects)

    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        if correction is None:
            return correct, None
        ids = [hit["id"] for hit in answer["hits"]]
        if correction not in ids:
            raise UserError(f"document must be the id of one of the {len(ids)} hits of that answer.")
        return (True, None) if correction == ids[0] else (False, correction)

    def text(self, request: dict[str, Any]) -> str:
        return str(request.get("text", ""))

    def group(self, answer: dict[str, Any]) -> str:
        """Whether anything was found."""
        return "found" if answer["hits"] else "nothing"
