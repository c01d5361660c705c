"""Questions on passages to be answered: one a row of an input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from noria.common.errors import UserError
from noria.config.columns import text_columns
from noria.data.source.inputs import read_inputs
from noria.task.requests import Given, own_fields, refuse_texts

COLUMNS = ("context", "question")  # as SQuAD and its like call them


class QuestionReading:
    """Rows of a table, or plain lines of a passage, a tab and a question. A request is `{"text": …, "text_pair": …}`:
    the passage and the question.

    Raises:
        UserError: not two columns are named.
    """

    taken = ("answer", "start", "end", "score", "answers", "error")

    def __init__(self, given: Given) -> None:
        self._given = given
        self._names = text_columns({"text": given.text}) if given.text else list(COLUMNS)
        if len(self._names) != len(COLUMNS):
            raise UserError(
                f"The artifact answers questions on passages, and {', '.join(self._names)} is one column: "
                "stage.text=[<the passage>,<the question>]."
            )

    def rows(self) -> Iterator[dict[str, Any]]:
        return read_inputs(self._given.source, self._names, self._given.quoted)

    def request(self, row: dict[str, Any]) -> dict[str, str]:
        texts = [str(row[name]) for name in self._names]
        refuse_texts(texts)
        return dict(zip(("text", "text_pair"), texts, strict=True))

    def line(self, row: dict[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
        return {**own_fields(row, self.taken), **answer}
