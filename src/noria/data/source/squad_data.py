"""Questions on passages from files in SQuAD's format. Knows no tokenizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Literal

from noria.data.module import DataModule
from noria.data.rows.rows import Rows
from noria.data.rows.split import GROUP
from noria.data.source.squad import read_squad


class SquadData(DataModule):
    """A file for train and, where given, one for val and one for test; the others are cut from train.

    Args:
        split_by: questions on one `article`, or on one `passage`, stay on one side of a cut, so that nothing is
            measured on passages that were learnt from.
    """

    gives: ClassVar[tuple[str, ...]] = ("text", "text_pair", "answers")

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        split_by: Literal["article", "passage"] = "article",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.split_by = split_by

    def read(self) -> dict[str, Rows]:
        return {split: self._rows(path) for split, path in self.paths.items() if path is not None}

    def _rows(self, path: str) -> Rows:
        rows = read_squad(path)
        if self.split_by == "article":
            return rows
        place = rows.table.column_names.index(GROUP)
        return replace(rows, table=rows.table.set_column(place, GROUP, rows.table["text"]))
