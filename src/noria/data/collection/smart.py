"""Collections in the format of the SMART system, in which Cranfield, CACM, CISI and others are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from noria.common.errors import UserError
from noria.data.collection.collection import Collection, Document, Judgement, Query, collected
from noria.data.collection.qrels import grade_of
from noria.data.source.opening import lines_of, open_bytes

RECORD, FIELD = re.compile(r"\.I\s+(\d+)\s*$"), re.compile(r"\.([A-Z])\s*$")  # a line of a text may begin with .I too
TITLE, TEXT = "T", "W"
BEST, LEAST = 1, 4  # Cleverdon's codes: a complete answer, of minimum interest


def is_smart(folder: Path) -> bool:
    return any(folder.glob("*.qry"))


def read_smart(folder: Path) -> Collection:
    """The documents (`*.all*`), queries (`*.qry`) and judgements (`*qrel*` or `*.rel`) of a folder.

    Judgements number the queries by their order in the file, whatever their own numbers are. Where grades are
    Cleverdon's codes, 1 is the best and 4 the least: they become 4 to 1. Other codes, such as -1, say that the document
    is not relevant. Where no code is given, or 0 alone, each judged document is relevant.

    Raises:
        UserError: a file is missing, or breaks its format.
    """
    corpus, asked, judged = (_one(folder, *ends) for ends in (("*.all*",), ("*.qry",), ("*qrel", "*qrels*", "*.rel")))
    documents = [Document(number, fields.get(TITLE, ""), fields.get(TEXT, "")) for number, fields in _records(corpus)]
    queries = [Query(str(order), fields.get(TEXT, "")) for order, (_, fields) in enumerate(_records(asked), 1)]
    found = list(_judgements(judged))
    last = max((int(query) for query, _, _ in found), default=0)
    if last > len(queries):
        raise UserError(
            f"'{judged}' judges a query {last}, but '{asked.name}' has {len(queries)}: judgements number the queries "
            "by their order."
        )
    if any(grade for _, _, grade in found):
        found = [(query, one, BEST + LEAST - code if BEST <= code <= LEAST else 0) for query, one, code in found]
    else:
        found = [(query, one, 1.0) for query, one, _ in found]
    return collected(documents, queries, found, f"'{folder}'")


def _one(folder: Path, *patterns: str) -> Path:
    there = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    if len(there) != 1:
        names = ", ".join(path.name for path in there) or "none"
        raise UserError(f"'{folder}' must have one file {' or '.join(patterns)}; there is: {names}.")
    return there[0]


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The number of each record, and its fields, each with its lines joined by blanks."""
    number = ""
    fields: dict[str, list[str]] = {}
    lines: list[str] | None = None
    with open_bytes(path) as file:
        for line in lines_of(file, f"'{path}'"):
            if begins := RECORD.match(line):
                if number:
                    yield number, _joined(fields)
                number, fields, lines = begins[1], {}, None
            elif number and (field := FIELD.match(line)):
                lines = fields.setdefault(field[1], [])
            elif lines is not None:
                lines.append(line)
            elif line.strip():
                raise UserError(f"'{path}': the text '{line.strip():.40}' stands outside of a record's field.")
    if number:
        yield number, _joined(fields)


def _joined(fields: dict[str, list[str]]) -> dict[str, str]:
    return {name: " ".join(" ".join(lines).split()) for name, lines in fields.items()}


def _judgements(path: Path) -> Iterator[Judgement]:
    with open_bytes(path) as file:
        for number, line in enumerate(lines_of(file, f"'{path}'"), 1):
            parts = line.split()
            if not parts:
                continue
            where = f"'{path}', line {number}"
            if len(parts) < 2 or not parts[0].isdigit():
                raise UserError(f"{where}: '{line.strip():.40}' is no judgement: query, document, code.")
            yield str(int(parts[0])), parts[1], grade_of(parts[2] if len(parts) > 2 else "0", where)
