"""The files of an index: documents, passages, words and vectors. Written in one move, mapped from the disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noria.common.errors import UserError
from noria.index.dense import Dense, Form, fitting
from noria.index.documents import ID, contents
from noria.index.lexical import Lexical

PLACE = "index"  # in the artifact's folder
DOCUMENTS, PASSAGES, WORDS = "documents.arrow", "passages.npy", "words"


@dataclass(frozen=True)
class Shape:
    """How an index is made.

    Args:
        passage_tokens, passage_overlap: of `passages`.
        k1, b, language: of `Lexical`.
        vectors: of `Dense`; None, until the passages are counted: what fits so many.
    """

    passage_tokens: int = 254
    passage_overlap: int = 40
    k1: float = 1.5
    b: float = 0.75
    language: str | None = "english"
    vectors: Form | None = None


@dataclass(frozen=True)
class Index:
    """An index in memory or on the disk.

    Args:
        shape: how it is made.
        documents: `id`, `title`, `text` and columns to filter by.
        passages: (passages, 3), as of `noria.index.passages`; those of a document stand together, in its order.
    """

    shape: Shape
    documents: pa.Table
    passages: np.ndarray
    lexical: Lexical
    dense: Dense

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of each id the document's number."""
        return {name: number for number, name in enumerate(self.documents[ID].to_pylist())}

    def passage(self, number: int) -> str:
        document, start, end = self.passages[number].tolist()
        (text,) = contents(self.documents.slice(document, 1))
        return text[start:end]

    def save(self, folder: Path) -> None:
        """Into a folder that is there and empty."""
        with pa.OSFile(str(folder / DOCUMENTS), "wb") as sink, pa.ipc.new_file(sink, self.documents.schema) as writer:
            writer.write_table(self.documents)
        np.save(folder / PASSAGES, self.passages)
        self.lexical.save(folder / WORDS)
        self.dense.save(folder)


def open_index(folder: Path, shape: Shape) -> Index:
    """The index of an artifact's folder.

    Raises:
        UserError: a file is missing, or is of another index.
    """
    place = folder / PLACE
    try:
        documents = pa.ipc.open_file(pa.memory_map(str(place / DOCUMENTS))).read_all()
        passages = np.load(place / PASSAGES, mmap_mode="r")
        lexical = Lexical.open(place / WORDS, len(passages), shape.language)
        dense = Dense.open(place, shape.vectors or fitting(len(passages)))
    except (OSError, pa.ArrowInvalid, ValueError, RuntimeError) as error:
        raise UserError(
            f"artifact={folder} is no whole index ({str(error).splitlines()[0]}): copy all of it."
        ) from None
    if len(dense) != len(passages) or (len(passages) and int(passages[-1, 0]) >= documents.num_rows):
        raise UserError(f"artifact={folder}: its passages, documents and vectors are not of one index: copy all of it.")
    return Index(shape, documents, passages, lexical, dense)


Cut = Callable[[list[str]], np.ndarray]
Encode = Callable[[list[str]], np.ndarray]


def made(shape: Shape, documents: pa.Table, cut: Cut, encode: Encode) -> Index:
    """A new index of documents.

    Args:
        cut: documents -> their passages (passages, 3).
        encode: passages -> their vectors (passages, width).
    """
    texts = contents(documents)
    passages = cut(texts)
    pieces = _pieces(texts, passages)
    lexical = Lexical.build(pieces, shape.k1, shape.b, shape.language)
    form = shape.vectors or fitting(len(passages))
    return Index(replace(shape, vectors=form), documents, passages, lexical, Dense.build(encode(pieces), form))


def changed(index: Index, stays: np.ndarray, added: pa.Table | None, cut: Cut, encode: Encode) -> Index:
    """The index with some documents left out (`stays`, bool, one a document) and others added behind.

    Only what is added is encoded.

    Raises:
        UserError: no document would be left.
    """
    if not stays.any() and added is None:
        raise UserError("No document would be left in the index: delete its folder, if that is meant.")
    kept = index.documents.filter(pa.array(stays))
    of_kept = stays[index.passages[:, 0]]
    moved = np.cumsum(stays) - 1
    passages = np.array(index.passages[of_kept])
    passages[:, 0] = moved[passages[:, 0]]
    documents, pieces = kept, []
    if added is not None:
        texts = contents(added)
        new = cut(texts)
        pieces = _pieces(texts, new)
        new[:, 0] += kept.num_rows
        passages = np.concatenate([passages, new])
        documents = pa.concat_tables([kept, added], promote_options="default")
    vectors = encode(pieces) if pieces else np.empty((0, 0), np.float32)
    width = index.dense.width
    dense = index.dense.changed(of_kept, vectors if len(vectors) else np.empty((0, width), np.float32))
    lexical = Lexical.build(_pieces(contents(documents), passages), index.shape.k1, index.shape.b, index.shape.language)
    return Index(index.shape, documents, passages, lexical, dense)


def _pieces(texts: list[str], passages: np.ndarray) -> list[str]:
    return [texts[document][start:end] for document, start, end in passages.tolist()]


def facts(index: Index) -> dict[str, Any]:
    """What `noria.yaml` says of it, for people."""
    return {
        "documents": index.documents.num_rows,
        "passages": len(index.passages),
        "vectors": index.shape.vectors,
    }
