"""Plain text from the user's own files, for pre-training and for getting used to a domain.

Knows documents, passages and windows of tokens, not how they are learnt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from annotated_types import Gt

from noria.common.errors import UserError
from noria.data.batch.encoded import padding_id
from noria.data.batch.encoded_text import EncodedText
from noria.data.batch.tokens import cached_tokens, length_limit
from noria.data.module import DataModule
from noria.data.rows.mapped import gather, pieces
from noria.data.rows.rows import NO_TEXT, Rows, text_values
from noria.data.source.files import TABLES, read_table
from noria.data.source.opening import ending, read_text

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

PASSAGE = 4000  # characters: some hundred words, so that a split by passages is fair and a passage still a context
HELD = 1024  # passages that are Python objects at a time
BEGINNING = 200  # characters of a passage that a decoder is shown to go on from
TEXT = (".txt", ".md")
NO_TARGET = "window_of_one_token"
# where a passage may end, the best first: at blank lines, else at a line's end, else between words
BREAKS = (re.compile(r"\n(?:[ \t]*\n)+"), re.compile(r"\n"), re.compile(r"\s"))


class PlainText(DataModule):
    """Documents, cut into passages; every token is learnt from those before it in its window.

    A row is a passage. It is tokenised whole and cut into windows of `max_length` tokens, without overlap. A
    document's last passage ends with the tokenizer's end of text. Where the tokenizer begins texts with a token of
    its own, so does every window; else the first token of each window is not a target.

    With a `stride`, validation and test are measured by windows that overlap, as transformers' guide to perplexity
    does: each token is measured once, with at least `max_length - stride` tokens before it, those of the document's
    passage before it among them where that is in the same split.

    Args:
        path: a .txt or .md file, a folder with such files at any depth, or a table with a document a row.
        text: the column of the documents, for a table.
        stride: new tokens of a window of validation and test, `max_length` at most; None: windows without overlap.
    """

    kinds = ("causal_lm",)

    def __init__(
        self,
        kind: str,
        tokenizer: Any,
        seed: int,
        labels: list[str] | None = None,
        *,
        path: str,
        val_path: str | None = None,
        test_path: str | None = None,
        text: str = "text",
        stride: Annotated[int, Gt(0)] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, labels, **kwargs)
        self.stride = stride
        self.paths = {"train": path, "val": val_path, "test": test_path}
        self.text = text

    def read(self) -> dict[str, Rows]:
        return {split: read_passages(path, self.text) for split, path in self.paths.items() if path is not None}

    def encode(self, split: str) -> EncodedText:
        tokenizer = self.tokenizer
        assert tokenizer is not None
        rows = self.splits[split]
        measured = split != "train"
        texts = _ended(rows, tokenizer.eos_token or "")
        tokens = cached_tokens(tokenizer, texts, None, None, special=False, sized=measured)
        begun = tokenizer("a")["input_ids"][0]
        lead = begun if begun == tokenizer.bos_token_id else None
        limit = length_limit(tokenizer, self.max_length)
        stride = self.stride if measured else None
        follows = _follows(rows) if stride is not None else None
        encoded = EncodedText(tokens, padding_id(tokenizer), limit, lead, stride=stride, follows=follows)
        if not len(encoded):
            raise UserError(f"{rows.where}: the split '{split}' has no two tokens in a row to learn from.")
        self.report["truncated"][split] = 0
        self.leave_out(split, NO_TARGET, encoded.left_out)
        return encoded

    def prompts(self, split: str, count: int) -> list[tuple[Any, str]]:
        texts = self.splits[split].table["text"].slice(0, count).to_pylist()
        return [(text[:BEGINNING], text[BEGINNING : 2 * BEGINNING]) for text in texts if len(text) > BEGINNING]

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        lasts = (str(last) for piece in pieces(rows.table["last"]) for last in piece.to_pylist())
        return [rows.table["id"], rows.table["text"], lasts]


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


def _ended(rows: Rows, end: str) -> pa.ChunkedArray:
    """The passages, with `end` after those that end a document."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows.table.to_batches(max_chunksize=HELD):
            closed = pc.binary_join_element_wise(batch["text"], end, "")
            yield pa.record_batch([pc.if_else(batch["last"], closed, batch["text"])], names=["text"])

    return gather(pa.schema([("text", pa.string())]), batches())["text"]


def _follows(rows: Rows) -> np.ndarray:
    """Which passages go on where the row before them ends (bool, one a row)."""
    numbered = [(name, int(number)) for name, _, number in (id.rpartition(":") for id in rows.ids)]
    before = [(name, number + 1) for name, number in numbered]
    return np.array([False, *(one == other for one, other in zip(numbered[1:], before[:-1], strict=True))])


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
