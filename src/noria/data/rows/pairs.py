"""Rows of a source text and what it should become: one text, or several of which each is right. Knows no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError, did_you_mean
from noria.data.rows.mapped import gather_rows
from noria.data.rows.rows import NO_TEXT, Rows

TARGETS, TRIVIAL = "targets", "trivial"  # columns
NEGATIVES = "negatives"  # the column of documents that are wrong for a query
TRANSLATION = "translation"  # the column in which the hub's data sets hold {language: text}
NO_TARGET = "no_target"
LISTS = [(name, pa.list_(pa.string())) for name in (TARGETS, TRIVIAL)]
SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), *LISTS])
LEAD = "lead"  # the first sentence of a source
SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+")

Pair = tuple[int, str, Sequence[str], Sequence[str]]
"""The number of a row in its source, from 1, its source text, its targets, and trivial answers to it."""


def from_pairs(pairs: Iterable[Pair], source: str, where: str) -> Rows:
    """Rows with `text`, and `targets` (list of string): the first is learnt from, all are references. In `trivial`
    (list of string) stand answers that take no model: the first sentence of the text, and what the source has besides.

    Those with a blank source, or without a target that holds something, are left out and counted.

    Args:
        source: the file's or split's name, the first part of every row's id.
        where: what messages call it.

    Raises:
        UserError: no row is left.
    """
    dropped = {NO_TEXT: 0, NO_TARGET: 0}

    def kept() -> Iterator[tuple[str, str, list[str], list[str]]]:
        for number, text, targets, trivial in pairs:
            said = [target for target in targets if target.strip()]
            if not text.strip():
                dropped[NO_TEXT] += 1
            elif not said:
                dropped[NO_TARGET] += 1
            else:
                yield f"{source}:{number}", text, said, list(trivial)

    table = gather_rows(SCHEMA, kept())
    left_out = {reason: count for reason, count in dropped.items() if count}
    if not len(table):
        counts = ", ".join(f"{reason.replace('_', ' ')}: {count}" for reason, count in left_out.items())
        raise UserError(
            f"{where} holds no pair of texts" + (f": every row was left out ({counts})." if counts else ".")
        )
    return Rows(table, where, left_out)


def pair_of(
    row: dict[str, Any], source: str, target: str, others: Sequence[str], where: str
) -> tuple[str, list[str], list[str]]:
    """The source text, the targets and trivial answers of a row, whose columns hold them or whose `translation` does.

    Args:
        others: columns with trivial answers.

    Raises:
        UserError: the row has no such column, or it holds no text.
    """
    if source not in row and target not in row and isinstance(row.get(TRANSLATION), dict):
        row = row[TRANSLATION]
    for name, key in ((source, "source"), (target, "target"), *((other, "baselines") for other in others)):
        if name not in row:
            raise UserError(f"{where}: there is no column '{name}'. {did_you_mean(name, row)} data.{key} names it.")
    parts = texts_in(row[source], source, where)
    trivial = [parts[0] if len(parts) > 1 else lead(" ".join(parts))]
    trivial += [" ".join(texts_in(row[other], other, where)) for other in others]
    return " ".join(parts), texts_in(row[target], target, where), trivial


def lead(text: str) -> str:
    """The first sentence of a text."""
    return SENTENCE.split(text.strip(), 1)[0]


def texts_in(value: object, name: str, where: str) -> list[str]:
    """What a cell holds: one text, a list of them, or nothing.

    Raises:
        UserError: it holds something else.
    """
    texts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise UserError(
            f"{where}: the column '{name}' holds {value!r:.60}, which is neither a text nor a list of texts."
        )
    return list(texts)


def trivial_answers(rows: Rows, names: Sequence[str]) -> dict[str, list[str]]:
    """By name the trivial answers to each row: the text itself, and what stands in `trivial`."""
    if TRIVIAL not in rows.table.column_names:  # of feedback
        return {"copy": rows.texts}
    columns = zip(*rows.table[TRIVIAL].to_pylist(), strict=True)
    return {"copy": rows.texts, **{name: list(column) for name, column in zip(names, columns, strict=True)}}
