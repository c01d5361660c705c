"""Queries out of a table and judgements out of a file, for documents that are known already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noria.common.errors import UserError
from noria.data.collection.collection import Collection, Document, Query, collected
from noria.data.collection.qrels import read_qrels
from noria.data.source.files import read_rows

IDS, TEXTS = ("id", "_id"), ("query", "text")


def read_queries(queries: str | Path, judgements: str | Path, documents: Sequence[Document]) -> Collection:
    """The queries of a table file (columns `id` or `_id`, `query` or `text`), and the documents that are judged to be
    relevant to them in a file of TREC's or BEIR's judgements.

    Raises:
        UserError: a file is missing, or breaks its format.
    """
    path = Path(judgements).expanduser()
    if not path.is_file():
        raise UserError(f"There is no file '{path}': stage.judgements names judgements as TREC or BEIR has them.")
    found = []
    for where, row in read_rows(queries, []):
        given = [next((row[name] for name in names if row.get(name) is not None), None) for names in (IDS, TEXTS)]
        if not isinstance(given[0], str | int) or not isinstance(given[1], str):
            raise UserError(f"{where}: a query needs an 'id' and its 'query', a text.")
        found.append(Query(str(given[0]), given[1]))
    return collected(documents, found, read_qrels(path), f"'{queries}'")
