"""Judgements out of files: as TREC has them, and as BEIR has them. Knows no documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from noria.common.errors import UserError
from noria.data.collection.collection import Judgement
from noria.data.source.opening import lines_of, open_bytes

HEADER = "query-id"  # how BEIR's files begin


def read_qrels(path: Path) -> Iterator[Judgement]:
    """The judgements of a file with one a line: `query 0 document grade` (TREC), or `query document grade` with or
    without a header (BEIR).

    Raises:
        UserError: a line holds something else.
    """
    with open_bytes(path) as file:
        for number, line in enumerate(lines_of(file, f"'{path}'"), 1):
            parts = line.split()
            if not parts or (number == 1 and parts[0] == HEADER):
                continue
            if len(parts) not in (3, 4):
                raise UserError(
                    f"'{path}', line {number}: {len(parts)} values, but a judgement has three (query, document, grade) "
                    "or, as TREC writes them, four (query, 0, document, grade)."
                )
            yield parts[0], parts[-2], grade_of(parts[-1], f"'{path}', line {number}")


def grade_of(text: str, where: str) -> float:
    """The number of a grade.

    Raises:
        UserError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: the grade is '{text}', which is no number.") from None
