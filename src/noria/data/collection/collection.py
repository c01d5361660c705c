"""A collection: documents, queries, and judgements of which document is relevant to which query. Knows no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noria.common.errors import UserError

UNKNOWN_QUERY, UNKNOWN_DOCUMENT = "of an unknown query", "of an unknown document"


@dataclass(frozen=True)
class Document:
    """A document; its title may be empty, and its text too."""

    id: str
    title: str
    text: str

    @property
    def content(self) -> str:
        """The title and the text, once where the text begins with the title."""
        return self.text if self.text.startswith(self.title) else f"{self.title}\n{self.text}"


@dataclass(frozen=True)
class Query:
    """What somebody looks for."""

    id: str
    text: str


@dataclass(frozen=True)
class Collection:
    """Documents and the queries to which some of them are relevant.

    Args:
        judged: by query, the relevant documents with their grades, which are above 0; each query has at least one.
        where: what messages call it.
        left_out: how many judgements and queries were left out, by reason.
    """

    documents: Sequence[Document]
    queries: Sequence[Query]
    judged: Mapping[str, Mapping[str, float]]
    where: str
    left_out: Mapping[str, int]


Judgement = tuple[str, str, float]
"""The ids of a query and of a document, and how relevant it is: 0 or less is not relevant."""


def collected(
    documents: Sequence[Document], queries: Sequence[Query], judgements: Iterable[Judgement], where: str
) -> Collection:
    """A collection of what was read. Judgements of queries or documents that are not there, and queries to which no
    document is relevant, are left out and counted.

    Raises:
        UserError: there are no documents, an id stands twice, a document is judged twice for a query, or no query is
            left.
    """
    for kind, ids in (("document", [one.id for one in documents]), ("query", [one.id for one in queries])):
        if not ids:
            raise UserError(f"{where} holds no {kind}.")
        ((most, count),) = Counter(ids).most_common(1)
        if count > 1:
            raise UserError(
                f"{where}: {count} {'documents' if kind == 'document' else 'queries'} have the id '{most}'."
            )
    known, asked = {one.id for one in documents}, {one.id for one in queries}
    grades: dict[str, dict[str, float]] = {}
    left_out: Counter[str] = Counter()
    for query, document, grade in judgements:
        if query not in asked:
            left_out[f"judgements {UNKNOWN_QUERY}"] += 1
        elif document not in known:
            left_out[f"judgements {UNKNOWN_DOCUMENT}"] += 1
        elif document in grades.setdefault(query, {}):
            raise UserError(f"{where}: the document '{document}' is judged twice for the query '{query}'.")
        else:
            grades[query][document] = grade
    relevant = {query: {one: grade for one, grade in own.items() if grade > 0} for query, own in grades.items()}
    judged = {query.id: relevant[query.id] for query in queries if relevant.get(query.id)}
    if not judged:
        raise UserError(f"{where}: no document is judged to be relevant to any of the {len(queries):,} queries.")
    if lacking := len(queries) - len(judged):
        left_out["queries to which nothing is relevant"] = lacking
    kept = [query for query in queries if query.id in judged]
    return Collection(documents, kept, judged, where, dict(left_out))
