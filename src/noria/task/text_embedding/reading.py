"""Texts to be made vectors of, or pairs of texts to be compared: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts


class TextEmbeddingReading:
    """Rows of a table or plain lines. A request is `{"text": …}`, of a pair with `text_pair`.

    Args:
        pairs: two columns are compared, in place of one that becomes a vector.

    Raises:
        UserError: the input's columns are not so many.
    """

    taken = ("embedding", "prediction", "error")

    def __init__(self, given: Given, pairs: bool) -> None:
        self._given = given
        self._names = text_columns({"text": given.text} if given.text else given.data if pairs else {})
        if len(self._names) != 1 + pairs:
            raise UserError(
                f"The artifact {'compares pairs of texts' if pairs else 'makes a vector of one text'}, and "
                f"{', '.join(self._names)} {'are two columns' if len(self._names) > 1 else 'is one column'}: "
                "stage.text=<the right ones>."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, self._names, self._given.quoted)

    def request(self, row: dict[str, Any]) -> dict[str, str]:
        texts = [str(row[name]) for name in self._names]
        refuse_texts(texts)
        return dict(zip(("text", "text_pair"), texts, strict=False))

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
