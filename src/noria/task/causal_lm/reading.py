"""Prompts and chats to be answered: one a row of an input, which may be a file that is there to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from noria.config.columns import text_columns
from noria.task.generation.prompts import Fields, Prompt, prompt_of, read_prompts, reference_of
from noria.task.requests import NO_TEXT, Given, Unanswerable, own_fields, refuse_surrogates


class PromptReading:
    """Rows with messages or a prompt. A request is a text to go on from, or a conversation.

    What answered a row before (its response, or the answers that its chat ends with) is kept as its `reference`.
    """

    taken = ("response", "score", "responses", "error")

    def __init__(self, given: Given) -> None:
        self._given = given
        fields = Fields.of(given.data)
        self._fields = replace(fields, only=text_columns({"text": given.text})[0]) if given.text else fields

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_prompts(self._given.source, self._fields, self._given.quoted)

    def request(self, row: dict[str, Any]) -> Prompt:
        prompt = prompt_of(row, self._given.chat, self._fields)
        if prompt is None:
            raise Unanswerable(NO_TEXT)
        refuse_surrogates([prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False, default=str)])
        return prompt

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(self._with_reference(row), self.taken), **answer}

    def _with_reference(self, row: dict[str, Any]) -> dict[str, Any]:
        known = reference_of(row, self._fields)
        if known is None or "reference" in row:
            return row
        rest = {name: value for name, value in row.items() if name != "response" or value is not known}
        return {"reference": known, **rest}
