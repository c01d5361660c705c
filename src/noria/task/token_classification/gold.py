"""From how tags are written to one BIO tag for each word: lists of tags, numbers of tags, or spans of characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.rows.rows import WORDS, Rows
from noria.metric.tags import bio, entities, has_prefixes
from noria.task.words import covered, places

SPAN = ("start", "end")
TYPES = ("label", "type", "tag", "entity")  # what the type of a span is called


def cleaned(rows: Rows, names: Sequence[str] | None) -> Rows:
    """The rows with a list of tags as `label`, one for each word, in BIO where they are those of a scheme.

    Args:
        names: of the tags 0, 1, 2, …, where the source has numbers and does not name them itself.

    Raises:
        UserError: a row has another number of tags than of words, a span that covers no word or two that overlap, or
            what is no tag.
    """
    kind = rows.table.schema.field("label").type
    if not pa.types.is_list(kind):
        raise UserError(
            f"{rows.where}: the labels are {kind}, and tagging words needs a list in each row: of tags, or of spans "
            "such as {start: 0, end: 5, label: PER}."
        )
    if pa.types.is_struct(kind.value_type):
        return rows.with_labels(_from_spans(rows))
    found = rows.table["label"].to_pylist()
    if pa.types.is_integer(kind.value_type):
        found = _named(rows, found, names or rows.label_names)
    words = rows.table[WORDS].to_pylist() if WORDS in rows.table.column_names else [None] * len(rows)
    for name, tags, text, given in zip(rows.ids, found, rows.texts, words, strict=True):
        of = places(text, given)
        if len(tags) != len(of):
            raise UserError(f"{rows.where}: row {name} has {len(of)} words and {len(tags)} tags.")
        if not all(isinstance(tag, str) and tag.strip() for tag in tags):
            raise UserError(f"{rows.where}: row {name} has a word without a tag.")
    if has_prefixes({tag for tags in found for tag in tags}):
        found = [bio(entities(tags), len(tags)) for tags in found]
    return rows.with_labels(pa.array(found, pa.list_(pa.string())))


def _named(rows: Rows, found: list[list[int]], names: Sequence[str] | None) -> list[list[str]]:
    highest = max((max(row, default=0) for row in found), default=0)
    if names is None or highest >= len(names) or any(number < 0 for row in found for number in row):
        raise UserError(
            f"{rows.where}: the tags are numbers up to {highest}, and {len(names or [])} of them have a name: "
            "data.label_names=[O,B-PER,…] names 0, 1, …"
        )
    return [[names[number] for number in row] for row in found]


def _from_spans(rows: Rows) -> pa.Array:
    """The BIO tags of spans of characters."""
    made = []
    words = rows.table[WORDS].to_pylist() if WORDS in rows.table.column_names else [None] * len(rows)
    for name, text, given, spans in zip(rows.ids, rows.texts, words, rows.table["label"].to_pylist(), strict=True):
        of = places(text, given)
        each = [_span(one, text, f"{rows.where}: row {name}") for one in spans]
        found = covered(each, of)
        if len(found) < len(each):
            raise UserError(f"{rows.where}: row {name} has a span that covers no word.")
        found.sort()
        for (_, end, first), (start, _, second) in pairwise(found):
            if start < end:
                raise UserError(f"{rows.where}: row {name} has spans that share a word ({first}, {second}).")
        made.append(bio(found, len(of)))
    return pa.array(made, pa.list_(pa.string()))


def _span(one: dict[str, Any], text: str, where: str) -> tuple[int, int, str]:
    kind = next((one[name] for name in TYPES if isinstance(one.get(name), str)), None)
    start, end = (one.get(name) for name in SPAN)
    if kind is None or not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        raise UserError(
            f"{where} has the span {one}: it should be {{start, end, label}}, with characters of the text counted from "
            f"0 (there are {len(text)}), the end not included."
        )
    return start, end, kind
