"""Text data from the user's own table files: CSV, TSV, JSON lines or Parquet.

Knows file names and column names, nothing of what stands in them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noria.data.rows.rows import Rows, label_columns, text_columns
from noria.data.source.files import read_table
from noria.data.source.table_rows import rows_of
from noria.data.text import TextData


class TableData(TextData):
    """A file for train and, where given, one for val and one for test; the others are cut from train.

    Args:
        text: the column of the texts, or the two columns of a pair.
        label: the column of the labels, or a list of columns of zeros and ones, one for each label.
        quoted: whether cells may stand in double quotes; None: in .csv files, but not in .tsv files.
    """

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        text: str | list[str] = "text",
        label: str | list[str] = "label",
        quoted: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.text = text_columns(text)
        self.label = label
        self._labels = label_columns(label)
        self.quoted = quoted

    def read(self) -> dict[str, Rows]:
        return {split: self._rows(path) for split, path in self.paths.items() if path is not None}

    def _rows(self, path: str) -> Rows:
        table = read_table(path, [*self.text, *self._labels], self.quoted)
        return rows_of(table, Path(path).name, path, self.text, self.label)
