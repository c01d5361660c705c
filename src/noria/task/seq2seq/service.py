"""A served model of text to text: texts in, texts out, texts as corrections."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from noria.common.errors import UserError
from noria.feedback.text import LABEL_LIMIT
from noria.task.service import TEXT, Schema, Service, checked_text

LENGTHS = (("short", 100), ("medium", 400))  # groups of answers by their characters
LONG = "long"


class Seq2SeqService(Service):
    """A request is `{"text": …}`; an answer has `response` and its `score`, the mean log-probability of its tokens
    where the length penalty is 1. A correction is the text that the answer should have been.
    """

    corrects = "response"
    writes = True
    pieces: ClassVar[tuple[Path, ...]] = (Path(__file__).parent / "page.html",)

    def described(self) -> dict[str, Any]:
        return {"kind": "text", "labels": []}

    def request_schema(self) -> Schema:
        return TEXT

    def answer_schema(self) -> Schema:
        return {"response": {"type": "string"}, "score": {"type": "number"}}

    def correction_schema(self, named: bool) -> Schema:
        return {**TEXT, "maxLength": LABEL_LIMIT}

    def examples(self) -> list[str]:
        return ["Two dogs run across a field.", "Fine.", "word " * 600]

    def request(self, given: Any, name: str) -> dict[str, Any]:
        return {"text": checked_text(given, name)}

    def answer(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {name: reply[name] for name in ("response", "score") if name in reply}

    def correction(self, given: Any) -> Any:
        text = checked_text(given, "response").strip()
        if len(text) > LABEL_LIMIT:
            raise UserError(f"response must have at most {LABEL_LIMIT:,} characters.")
        return text

    def judged(
        self, request: dict[str, Any] | None, answer: dict[str, Any], correct: bool, correction: Any
    ) -> tuple[bool, Any]:
        if correction is None:
            return correct, None
        return (True, None) if answer["response"] == correction else (False, correction)

    def text(self, request: dict[str, Any]) -> str:
        return str(request["text"])

    def group(self, answer: dict[str, Any]) -> str:
        """How long the answer is: an empty or an endless one is what drifts first."""
        size = len(answer["response"])
        return "empty" if not size else next((name for name, most in LENGTHS if size <= most), LONG)
