"""Queries with a document that answers each, and maybe documents that do not, from table files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.module import DataModule
from noria.data.rows.mapped import gather_rows
from noria.data.rows.pairs import NEGATIVES
from noria.data.rows.rows import NO_TEXT, Rows
from noria.data.source.files import read_rows

SCHEMA = pa.schema([*((name, pa.string()) for name in ("id", "text", "text_pair")), (NEGATIVES, pa.list_(pa.string()))])


class QueryPairData(DataModule):
    """A table for train and, where given, one for val and one for test; the others are cut from train.

    Args:
        query, document: the columns of a query, or of anything that should be near to its document, and of that.
        negatives: a column of documents that are wrong for the query: a text, or a list of them.
        quoted: whether cells may stand in double quotes; None: in .csv files, but not in .tsv files.
    """

    gives: ClassVar[tuple[str, ...]] = ("text", "text_pair", "negatives")

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        query: str = "query",
        document: str = "document",
        negatives: str | None = None,
        quoted: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.query, self.document, self.negatives, self.quoted = query, document, negatives, quoted

    def read(self) -> dict[str, Rows]:
        return {split: self._rows(path) for split, path in self.paths.items() if path is not None}

    def _rows(self, path: str) -> Rows:
        """The pairs of a file; those with a blank text are left out and counted.

        Raises:
            UserError: it cannot be read, or no pair is left.
        """
        columns = [self.query, self.document, *([self.negatives] if self.negatives else [])]
        blank = 0

        def kept() -> Iterator[tuple[str, str, str, list[str]]]:
            nonlocal blank
            for number, (where, row) in enumerate(read_rows(path, columns, quoted=self.quoted), 1):
                query, document = (_text(row.get(name), name, where) for name in columns[:2])
                wrong = _list(row.get(self.negatives), self.negatives, where) if self.negatives else []
                if all(text.strip() for text in (query, document, *wrong)):
                    yield f"{Path(path).name}:{number}", query, document, wrong
                else:
                    blank += 1

        table = gather_rows(SCHEMA, kept())
        if not len(table):
            raise UserError(f"{path} holds no pair with two texts in '{self.query}' and '{self.document}'.")
        return Rows(table, path, {NO_TEXT: blank} if blank else {})


def _text(value: Any, name: str, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: '{name}' is {value!r:.60}, but must be a text.")
    return value


def _list(value: Any, name: str, where: str) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [_text(one, name, where) for one in found]
