"""Texts, or lists of words, to be tagged: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.data.rows.rows import WORDS
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, Unanswerable, own_fields, refuse_texts


class WordReading:
    """Rows of a table or plain lines. A request is `{"text": …}`, with `words` where the row has a list of them.

    Raises:
        UserError: more than one column is named.
    """

    taken = ("prediction", "entities", "error")

    def __init__(self, given: Given) -> None:
        self._given = given
        self._names = text_columns({"text": given.text} if given.text else given.data)
        if len(self._names) != 1:
            raise UserError(
                f"The artifact reads one text, and {', '.join(self._names)} are {len(self._names)} columns."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, self._names, self._given.quoted, words=True)

    def request(self, row: dict[str, Any]) -> dict[str, Any]:
        value = row[self._names[0]]
        if not isinstance(value, list):
            refuse_texts([str(value)])
            return {"text": str(value)}
        if not all(isinstance(word, str) and word.strip() for word in value):
            raise Unanswerable("a word is empty, or no text")
        refuse_texts([" ".join(value)])
        return {"text": " ".join(value), WORDS: value}

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
