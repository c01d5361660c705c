"""Plain text from the user's own files, for pre-training and for getting used to a domain.

Knows documents, passages and windows of tokens, not how they are learnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from annotated_types import Gt

from noria.common.errors import UserError
from noria.data.module import DataModule
from noria.data.rows.mapped import gather, pieces
from noria.data.rows.rows import NO_TEXT, Rows, text_values
from noria.data.source.files import TABLES, read_table
from noria.data.source.opening import ending, read_text

PASSAGE = 4000  # characters: some hundred words, so that a split by passages is fair and a passage still a context
HELD = 1024  # passages that are Python objects at a time
TEXT = (".txt", ".md")
# where a passage may end, the best first: at blank lines, else at a line's end, else between words
BREAKS = (re.compile(r"\n(?:[ \t]*\n)+"), re.compile(r"\n"), re.compile(r"\s"))


class PlainText(DataModule):
    """Documents, cut into passages of some hundred words.

    A row is a passage, with `last` where it ends a document (`noria.task.causal_lm.passages` makes tokens of it).

    Args:
        path: a .txt or .md file, a folder with such files at any depth, or a table with a document a row.
        text: the column of the documents, for a table.
        stride: new tokens of a window of validation and test, `max_length` at most; None: windows without overlap.
    """

    gives = ("text", "last")

    def __init__(
        self,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        text: str = "text",
        stride: Annotated[int, Gt(0)] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stride = stride
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.text = text

    def read(self) -> dict[str, Rows]:
        return {split: read_passages(path, self.text) for split, path in self.paths.items() if path is not None}

    @property
    def written(self) -> dict[str, Any]:
        return {"stride": self.stride}


def read_passages(path: str, text: str) -> Rows:
    """The passages of all documents as rows; `last` (bool) marks those that end one. Blank documents are counted.

    Raises:
        UserError: there is nothing to read, or it cannot be read.
    """
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("last", pa.bool_())])
    blank = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal blank
        rows: list[tuple[str, str, bool]] = []
        for name, document in documents(path, text):
            found = passages(document)
            blank += not found
            for number, passage in enumerate(found, 1):
                rows.append((f"{name}:{number}", passage, number == len(found)))
                if len(rows) == HELD:
                    yield _batch(rows, schema)
                    rows.clear()
        if rows:
            yield _batch(rows, schema)

    table = gather(schema, batches())
    if not len(table):
        raise UserError(f"{path} holds no text: every document is blank.")
    return Rows(table, path, {NO_TEXT: blank} if blank else {})


def _batch(rows: list[tuple[str, str, bool]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch([pa.array(c, kind) for c, kind in zip(columns, schema.types, strict=True)], schema=schema)


def documents(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Each document's name and text: a file, every file of a folder in the order of their names, or a table's rows."""
    place = Path(path).expanduser()
    suffix = ending(place)
    if place.is_dir():
        inner = sorted(file.relative_to(place) for file in place.rglob("*") if file.suffix.lower() in TEXT)
        files = [file for file in inner if not any(part.startswith(".") for part in file.parts)]
        if not files:
            raise UserError(f"The folder '{place}' holds no {' or '.join(TEXT)} file, nor does any folder in it.")
        yield from ((file.as_posix(), read_text(place / file)) for file in files)
    elif suffix in TABLES:
        column = text_values(read_table(place, [text])[text], text, path)
        cells = (cell for piece in pieces(column) for cell in piece.to_pylist())
        yield from ((f"{place.name}:{row}", cell or "") for row, cell in enumerate(cells, 1))
    elif suffix in TEXT or not place.exists():
        yield place.name, read_text(place)
    else:
        raise UserError(
            f"'{path}': files that end in '{suffix}' are not read. Known endings: {', '.join((*TEXT, *TABLES))}."
        )


def passages(document: str) -> list[str]:
    """A document's passages of 4,000 characters, or as many more as the next blank line takes (8,000 at most).

    Put together again they are the document, less the blank lines before it and the white space after it.
    """
    document = re.sub(r"\A(?:[^\S\n]*\n)+", "", document.rstrip())
    found: list[str] = []
    start = 0
    while start < len(document):
        stop = _end(document, start)
        piece = document[start:stop]
        if found and piece.isspace():
            found[-1] += piece
        else:
            found.append(piece)
        start = stop
    return found


def _end(document: str, start: int) -> int:
    low, high = start + PASSAGE, start + 2 * PASSAGE
    if len(document) <= low:
        return len(document)
    for break_ in BREAKS:
        if match := break_.search(document, low, high):
            return match.end()
    return min(high, len(document))
