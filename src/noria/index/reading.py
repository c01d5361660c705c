"""Queries: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts

QUERY, FILTERS = "query", "filters"


class QueryReading:
    """Rows of a table or plain lines. A request is `{"text": …}`, with `filters` where the row has an object of them.

    Raises:
        UserError: more than one column is named.
    """

    taken = ("hits", "answer", "error")

    def __init__(self, given: Given) -> None:
        self._given = given
        self._names = text_columns({"text": given.text}) if given.text else [QUERY]
        if len(self._names) != 1:
            raise UserError(f"An index is asked one text, and {', '.join(self._names)} are {len(self._names)} columns.")

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, self._names, self._given.quoted)

    def request(self, row: dict[str, Any]) -> dict[str, Any]:
        text = str(row[self._names[0]])
        refuse_texts([text])
        filters = row.get(FILTERS)
        return {"text": text, FILTERS: filters} if isinstance(filters, dict) else {"text": text}

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
