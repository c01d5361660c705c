"""Collections in BEIR's folder format (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noria.common.errors import UserError, did_you_mean
from noria.data.collection.collection import Collection, Document, Query, collected
from noria.data.collection.qrels import read_qrels
from noria.data.source.json_files import json_lines
from noria.data.source.opening import PACKED

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"


def is_beir(folder: Path) -> bool:
    return _in(folder, CORPUS) is not None


def read_beir(folder: Path, split: str) -> Collection:
    """The documents of a folder, and the queries that are judged in one of its splits.

    Raises:
        UserError: a file is missing, or breaks its format.
    """
    files = {name: _in(folder, name) for name in (CORPUS, QUERIES)}
    for name, file in files.items():
        if file is None:
            raise UserError(f"There is no '{name}' in '{folder}': BEIR's format has {CORPUS}, {QUERIES} and {QRELS}/.")
    judgements = folder / QRELS / f"{split}.tsv"
    if not judgements.is_file():
        there = sorted(path.stem for path in (folder / QRELS).glob("*.tsv"))
        raise UserError(f"There is no '{judgements}'. {did_you_mean(split, there)}")
    documents = [
        Document(_text(row, "_id", where), _text(row, "title", where, ""), _text(row, "text", where))
        for row, where in _rows(files[CORPUS])
    ]
    found = list(read_qrels(judgements))
    asked = {query for query, _, _ in found}
    queries = [
        Query(_text(row, "_id", where), _text(row, "text", where))
        for row, where in _rows(files[QUERIES])
        if str(row.get("_id")) in asked  # those of other splits are no queries of this one
    ]
    return collected(documents, queries, found, f"'{folder}'")


def _in(folder: Path, name: str) -> Path | None:
    return next((file for end in ("", *PACKED) if (file := folder / f"{name}{end}").is_file()), None)


def _rows(path: Path | None) -> Iterator[tuple[dict[str, Any], str]]:
    assert path is not None
    for number, row in json_lines(path):
        yield row, f"'{path}', line {number}"


def _text(row: dict[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = row.get(name, default)
    if isinstance(value, int) and name == "_id":
        return str(value)
    if not isinstance(value, str):
        raise UserError(f"{where}: '{name}' is {value!r:.60}, but must be a text.")
    return value
