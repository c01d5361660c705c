"""Several labels a row: from lists, from cells, or from zeros and ones, to a list of names for each row.

Knows nothing of files.
"""

from __future__ import annotations

import ast
import json
import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.rows.class_names import padded, renamed
from noria.data.rows.mapped import pieces
from noria.data.rows.multi_hot import are_multi_hot, is_binary, named
from noria.data.rows.rows import NO_LABEL, Rows, blank

log = logging.getLogger(__name__)
pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

SIGNS = (",", ";", "|", "\t", "\n", "\uff0c", "\u3001", "\uff1b")  # what often stands between two labels of a cell
LOOSE = (" ", "/", "&", "+")  # what may do so, but often stands within a name as well
MANY = 10_000  # names; more are texts, of which a look at each word would take minutes: `names_of` refuses them
LIST = r"""\[\s*(["'\d\[\]-]|[Tt]rue|[Ff]alse)(.|\n)*\]?"""
SET = r"""[({]\s*(["'](.|\n)*|([\d-]|True|False)(.|\n)*,(.|\n)*)[)}]"""  # or a tuple, as Python prints them
WRITTEN = rf"^\s*({LIST}|{SET})\s*$"  # a list that is written out, whole or not
RUN_TOGETHER = re.compile("[01]{3,}")
BAD_LIST = (ValueError, SyntaxError, RecursionError, MemoryError, pa.ArrowInvalid, pa.ArrowTypeError)


def clean(
    given: dict[str, Rows], separator: str, declared: dict[str, list[str] | None], multi_hot: bool | None
) -> dict[str, Rows]:
    """The splits' rows with lists of names for labels; how labels are read is decided for all splits together.

    Args:
        separator: what stands between two labels of a cell.
        declared: each split's names of the labels 0, 1, 2, ...
        multi_hot: the labels are zeros and ones, one a label; None: found out.

    Raises:
        UserError: the labels cannot be read, or can be read in two ways.
    """
    parsed = {name: _parsed(rows, separator) for name, rows in given.items()}
    rows = [found for found, _ in parsed.values()]
    if len({_sort(found) for found in rows}) > 1:
        each = "; ".join(f"{found.where}: {found.table['label'].type}" for found in rows)
        raise UserError(f"The labels are not of one type in all splits: {each}.")
    listed = any(how != "values" for _, how in parsed.values())
    names = next((len(those) for those in declared.values() if those), None)
    if are_multi_hot(rows, listed, names, multi_hot):
        if names is None:
            log.info("The labels are zeros and ones, one for each label; data.label_names names them.")
        return {name: named(found, declared[name]) for name, (found, _) in parsed.items()}
    known = {name for those in declared.values() for name in those or ()}
    for kind in (True, False):
        if some := [found for found, how in parsed.values() if (how == "lists") is kind]:
            _refuse_another_sign(some, None if kind else separator, known)
    _refuse_run_together(rows, known)
    return {name: _by_name(found, declared[name], how) for name, (found, how) in parsed.items()}


def _sort(rows: Rows) -> str:
    inner = rows.table["label"].type.value_type
    return "yes or no" if pa.types.is_boolean(inner) else "share" if pa.types.is_floating(inner) else "name"


def _parsed(rows: Rows, separator: str) -> tuple[Rows, str]:
    """Rows with a list for a label, of the values as they are; and what they were: lists, cells, or single values."""
    column = rows.table["label"]
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_type.value_type if pa.types.is_dictionary(kind.value_type) else kind.value_type
        if pa.types.is_nested(inner) or pa.types.is_temporal(inner) or pa.types.is_binary(inner):
            raise UserError(f"{rows.where}: the label lists hold {inner} values, not names.")
        if not (pa.types.is_boolean(inner) or pa.types.is_integer(inner) or pa.types.is_floating(inner)):
            inner = pa.string()
        return rows.with_labels(column.cast(pa.list_(inner))), "lists"
    if pa.types.is_nested(kind) or pa.types.is_floating(kind):
        raise UserError(f"{rows.where}: the label column holds {kind} values, not lists of labels.")
    if not separator:
        raise UserError("data.label_separator is empty: give the sign that stands between two labels.")
    column = column.cast(pa.string())
    empty, written = blank(column), np.asarray(pc.match_substring_regex(column, WRITTEN))
    if written.any():
        if not (written | empty).all():
            place, other = (int(np.flatnonzero(mask)[0]) for mask in (written, ~(written | empty)))
            raise UserError(
                f"{rows.where}, row {rows.ids[place]}: the label {column[place].as_py()[:80]!r} is a list that is "
                f"written out, and that of row {rows.ids[other]} is none. Write all alike."
            )
        return _written_lists(rows.with_labels(column).without(empty, NO_LABEL)), "lists"
    lists = [_split(piece, separator) for piece in pieces(column)]
    several = any(len(cell) > 1 for piece in lists for cell in piece)
    listed = pa.chunked_array([pa.array(piece, pa.list_(pa.string())) for piece in lists])
    return rows.with_labels(listed), "cells" if several else "values"


def _split(cells: pa.Array, separator: str) -> list[list[str]]:
    return [[name for part in cell.split(separator) if (name := part.strip())] for cell in cells.to_pylist()]


def _written_lists(rows: Rows) -> Rows:
    """Lists that are written out in cells, as in JSON or in Python."""
    found = []
    for place, cell in enumerate(rows.table["label"].to_pylist()):
        value = _written_list(cell)
        if not isinstance(value, list):
            raise UserError(
                f"{rows.where}, row {rows.ids[place]}: the label {cell[:80]!r} begins as a list, but cannot be read as "
                'one. Lists look like ["joy", "anger"] or [1, 0, 1].'
            )
        found.append(value)
    try:
        return rows.with_labels(pa.array(found))
    except BAD_LIST as error:
        raise UserError(f"{rows.where}: the lists of labels hold values of several types: {error}") from None


def _written_list(cell: str) -> Any:
    """Reads a cell as a list in JSON or in Python syntax; gives something else where it does not hold a list."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(cell.strip())
        except BAD_LIST:
            continue
        return sorted(value) if isinstance(value, set) else list(value) if isinstance(value, tuple) else value
    return None


def _by_name(rows: Rows, declared: Sequence[str] | None, how: str) -> Rows:
    """Rows with lists of different names, without white space around them."""
    column = rows.table["label"].cast(pa.list_(pa.string()))
    if how == "lists" and (count := padded(pc.list_flatten(column))):
        log.warning("%s: white space around %d labels is cut off.", rows.where, count)
    cut = ([_different(cell) for cell in piece.to_pylist()] for piece in pieces(column))
    lists = pa.concat_arrays([pa.array(cells, pa.list_(pa.string())) for cells in cut])
    if declared is None:
        return rows.with_labels(lists)
    return rows.with_labels(pa.ListArray.from_arrays(lists.offsets, renamed(lists.values, declared)))


def _different(names: list[str | None]) -> list[str]:
    return list(dict.fromkeys(name for part in names if part and (name := part.strip())))


def _refuse_another_sign(splits: list[Rows], separator: str | None, known: set[str]) -> None:
    """Refuses names that are several labels with another sign between them: each part stands elsewhere too.

    Args:
        separator: at which cells were cut; None: they are lists.
        known: names that are declared to be one label.
    """
    lists = [rows.table["label"] for rows in splits if pa.types.is_string(rows.table["label"].type.value_type)]
    names = {name for column in lists for name in pc.unique(pc.list_flatten(column)).to_pylist()} - {None}
    for sign in (*SIGNS, *LOOSE) if len(names) <= MANY else SIGNS:
        if sign == separator or not any(sign in name for name in names):
            continue
        parts = {name: [part for one in name.split(sign) if (part := one.strip())] for name in names}
        where: dict[str, set[str]] = {}
        for name, own in parts.items():
            for part in {*own}:
                where.setdefault(part, set()).add(name)
        for name in sorted(names - known):
            own = parts[name]
            sure = sign in SIGNS or is_binary({*own})
            elsewhere = (len(where[part]) > 1 if sure else part in names for part in own)
            if len({*own}) > 1 and all(elsewhere):
                _refuse(splits, name, own, sign, separator)


def _refuse_run_together(splits: list[Rows], known: set[str]) -> None:
    """Refuses names that are all a 0 or a 1 for each label without a sign between them, such as 0110."""
    lists = [rows.table["label"] for rows in splits if pa.types.is_string(rows.table["label"].type.value_type)]
    names = {name for column in lists for name in pc.unique(pc.list_flatten(column)).to_pylist()} - {None}
    if len(names) < 2 or names <= known or len({*map(len, names)}) > 1 or not all(map(RUN_TOGETHER.fullmatch, names)):
        return
    name = min(names)
    raise UserError(
        f"{splits[0].where}: the labels, such as {name!r}, look like a 0 or a 1 for each of {len(name)} labels. Write "
        f"them as a list, [{', '.join(name)}], or as cells with a sign between, {'|'.join(name)}; if each is the name "
        "of one label, list all of them in data.label_names."
    )


def _refuse(splits: list[Rows], name: str, parts: list[str], sign: str, separator: str | None) -> None:
    if separator is None:
        why, remedy = "it is one item of a list", "Write each label as an item of its own"
    else:
        why, remedy = f"labels are cut only at {separator!r}", f"data.label_separator={json.dumps(sign)} cuts it"
    for rows in splits:
        column = rows.table["label"].combine_chunks()
        places = np.flatnonzero(np.asarray(pc.equal(column.flatten(), name)))
        if len(places):
            row = rows.ids[pc.list_parent_indices(column)[int(places[0])].as_py()]
            raise UserError(
                f"{rows.where}, row {row}: the label {name!r} looks like {len(parts)} labels, for "
                f"{' and '.join(map(repr, dict.fromkeys(parts)))} stand elsewhere too, and {why}. {remedy}; if it is "
                "one label, list all of them in data.label_names."
            )
