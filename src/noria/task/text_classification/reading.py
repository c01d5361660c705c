"""Texts, or pairs of texts, to be classified: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts


class TextReading:
    """Rows of a table or plain lines. A request is `{"text": …}`, of a pair with `text_pair`.

    Args:
        texts: how many texts the model reads: 1, or 2 for pairs.

    Raises:
        UserError: the input's columns are not so many.
    """

    taken = ("prediction", "probabilities", "error")

    def __init__(self, given: Given, texts: int) -> None:
        self._given = given
        self._names = text_columns({"text": given.text} if given.text else given.data)
        if len(self._names) != texts:
            raise UserError(
                f"The artifact reads {'pairs of texts' if texts > 1 else 'one text'}, and {', '.join(self._names)} "
                f"{'are two columns' if len(self._names) > 1 else 'is one column'}: stage.text=<the right ones>."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, self._names, self._given.quoted)

    def request(self, row: dict[str, Any]) -> dict[str, str]:
        texts = [str(row[name]) for name in self._names]
        refuse_texts(texts)
        return dict(zip(("text", "text_pair"), texts, strict=False))

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
