"""CoNLL files: a word and its tag a line, a blank line between sentences. Knows no tag by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.rows.rows import WORDS, Rows
from noria.data.source.opening import find, read_text
from noria.data.text import TextData

DOCUMENT = "-DOCSTART-"  # a line that begins a document, and no word of it


class ConllData(TextData):
    """A file for train and, where given, one for val and one for test; the others are cut from train.

    Fields stand apart by tabs where a line holds a tab, else by blanks. A row is a sentence: its `text` is the words
    with a blank between them.

    Args:
        word: the number of the field that holds the word, from 0; negative: from the end.
        tag: that of the field that holds the tag.
    """

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        word: int = 0,
        tag: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.word, self.tag = word, tag

    def read(self) -> dict[str, Rows]:
        return {split: self._rows(path) for split, path in self.paths.items() if path is not None}

    def _rows(self, path: str) -> Rows:
        """The sentences of a file.

        Raises:
            UserError: there is no such file, a line has too few fields, or no sentence is in it.
        """
        found: list[tuple[list[str], list[str]]] = [([], [])]
        lines = read_text(find(path)).split("\n")  # and not at other signs of a line's end, which words may hold
        for number, raw in enumerate(lines, 1):
            line = raw.rstrip("\r")
            fields = line.split("\t") if "\t" in line else line.split()
            if not line.strip() or fields[0] == DOCUMENT:
                found.append(([], []))
                continue
            try:
                word, tag = fields[self.word].strip(), fields[self.tag].strip()
            except IndexError:
                word = tag = ""
            if len(fields) < 2 or not word or not tag:
                raise UserError(
                    f"{path}, line {number}: a line holds a word and its tag, with a tab or a blank between them; this "
                    f"one is {line[:60]!r}. data.word and data.tag say which fields they are."
                )
            found[-1][0].append(word)
            found[-1][1].append(tag)
        sentences = [(words, tags) for words, tags in found if words]
        if not sentences:
            raise UserError(f"{path} holds no sentence.")
        name = Path(path).name
        table = pa.table(
            {
                "id": [f"{name}:{number}" for number in range(1, len(sentences) + 1)],
                "text": [" ".join(words) for words, _ in sentences],
                "label": pa.array([tags for _, tags in sentences], pa.list_(pa.string())),
                WORDS: pa.array([words for words, _ in sentences], pa.list_(pa.string())),
            }
        )
        return Rows(table, path)
