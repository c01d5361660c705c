"""Texts to be answered: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.data.rows.pairs import texts_in
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts

TEXT = "text"


class SourceReading:
    """Rows of a table or plain lines. A request is `{"text": …}`."""

    taken = ("response", "score", "responses", "error")

    def __init__(self, given: Given) -> None:
        data = given.data.get("original")
        data = data if isinstance(data, Mapping) else given.data
        self._given = given
        self._name = given.text if isinstance(given.text, str) else str(data.get("source") or TEXT)

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, [self._name], self._given.quoted, words=True)

    def request(self, row: dict[str, Any]) -> dict[str, str]:
        text = " ".join(texts_in(row[self._name], self._name, "the input"))
        refuse_texts([text])
        return {TEXT: text}

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
