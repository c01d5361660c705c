"""Labels: from a raw column to class names and numbers, for one label, several labels (`label_lists`), or a value.

Knows nothing of models; a label it does not know is the user's mistake and is named with its row.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.rows.class_names import padded, renamed
from noria.data.rows.mapped import gather, pieces
from noria.data.rows.rare import MAX_CLASSES
from noria.data.rows.rows import NO_LABEL, SURE, Rows, blank
from noria.task.text_classification import label_lists

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

log = logging.getLogger(__name__)
INTEGER = re.compile(r"-?\d{1,4000}")  # Python makes no number of more digits
EXACT = 2.0**53  # beyond it not every integer is a float: two labels may have become one
LARGEST = 1e18  # whose squared error, summed over a batch, float32 still holds


def clean(
    given: dict[str, Rows], kind: str, separator: str, declared: Sequence[str] | None, multi_hot: bool | None = None
) -> dict[str, Rows]:
    """The splits' rows with labels of one type a kind: string, list of strings, or float64 (finite).

    Rows whose label is blank (for a value: NaN or infinite) are left out and counted. White space around a label is no
    part of it. A number that is not itself a declared name becomes the name at its place.

    Args:
        separator, multi_hot: how several labels a row are written; see `label_lists.clean`.
        declared: the names of the labels 0, 1, 2, ... in all splits; None: each split's own `label_names`, or those of
            the first split that has any.

    Raises:
        UserError: a label is not of this kind.
    """
    if kind == "regression":
        return {name: _values(rows) for name, rows in given.items()}
    first = next((rows.label_names for rows in given.values() if rows.label_names), None)
    for rows in given.values():
        _refuse_swapped(rows, _stripped(declared), _stripped(rows.label_names))
    each = {name: _stripped(declared or rows.label_names or first) for name, rows in given.items()}
    if kind == "multi_label":
        return label_lists.clean(given, separator, each, multi_hot)
    return {name: _named(rows, each[name]) for name, rows in given.items()}


def _stripped(names: Sequence[str] | None) -> list[str] | None:
    return [str(name).strip() for name in names] if names else None


def _refuse_swapped(rows: Rows, declared: Sequence[str] | None, own: Sequence[str] | None) -> None:
    """Refuses declared names that the source has itself, at other places: one of the two is wrong.

    Raises:
        UserError: names the first.
    """
    for place, name in enumerate(declared or ()):
        if own and name in own and own.index(name) != place:
            raise UserError(
                f"{rows.where}: data.label_names has '{name}' at place {place}, the data's own names have it at place "
                f"{own.index(name)}: {', '.join(own)}. Take data.label_names out, or give its names that order."
            )


def _named(rows: Rows, declared: Sequence[str] | None) -> Rows:
    rows = _names(rows, checked=declared is None)
    if declared is None:
        return rows
    return rows.with_labels(_strings(rows.table["label"], lambda piece: renamed(piece, declared)))


def names_of(train: Rows, kind: str) -> list[str]:
    """The class names in a cleaned train split, sorted; by value where all of them are integers.

    Raises:
        UserError: there are too many or too few, which means that the column is not one of classes.
    """
    column = train.table["label"]
    names = pc.unique(pc.list_flatten(column) if kind == "multi_label" else column).to_pylist()
    if len(names) > MAX_CLASSES:
        raise UserError(
            f"{train.where}: {len(names)} different labels (at most {MAX_CLASSES}). Is this the right column?"
        )
    if kind == "single_label" and len(names) == len(train) >= SURE:
        raise UserError(f"{train.where}: every row has a label of its own. Is this the right column?")
    if kind == "single_label" and len(names) == 1:
        raise UserError(f"{train.where}: every row has the label '{names[0]}': there is nothing to learn.")
    if not names:
        raise UserError(f"{train.where}: no row has a label.")
    alike = [group for group in _alike(names) if len(group) > 1]
    if alike:
        shown = "; ".join(" and ".join(map(_shown, group)) for group in alike[:3])
        log.warning(
            "%s: labels that differ only in capitals, or in signs that look alike, are different labels: %s.",
            train.where, shown,
        )  # fmt: skip
    if all(INTEGER.fullmatch(name) for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


def _alike(names: Sequence[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        seen = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
        groups.setdefault(" ".join(seen.casefold().split()), []).append(name)
    return list(groups.values())


def _shown(name: str) -> str:
    """A name in quotes, with its signs spelt out where some of them look like others."""
    return repr(name) if unicodedata.normalize("NFKC", name) == name else ascii(name)


def encode(rows: Rows, kind: str, names: Sequence[str]) -> np.ndarray:
    """Targets of cleaned rows: int64 (n,), float32 (n, labels) of zeros and ones, or float32 (n,).

    Raises:
        UserError: a label is not among the names.
    """
    column = rows.table["label"]
    if kind == "regression":
        return column.to_numpy().astype(np.float32)
    known = pa.array([name.strip() for name in names], pa.string())  # older artifacts may know them with white space
    if kind == "single_label":
        numbers, start = np.empty(len(rows), np.int64), 0
        for piece in pieces(column):
            found = pc.index_in(piece, value_set=known)
            stop = start + len(piece)
            _refuse_unknown(rows, piece, np.arange(start, stop), found, names)
            numbers[start:stop], start = found.to_numpy(), stop
        return numbers
    column = column.combine_chunks()
    flat, parents = column.flatten(), pc.list_parent_indices(column).to_numpy()
    found = pc.index_in(flat, value_set=known)
    _refuse_unknown(rows, flat, parents, found, names)
    targets = np.zeros((len(rows), len(names)), np.float32)
    targets[parents, found.to_numpy()] = 1.0
    return targets


def as_text(rows: Rows, kind: str) -> Iterable[str]:
    """Each cleaned label as one string, for fingerprints."""
    labels: Any = rows.table["label"]
    if kind == "single_label":
        return labels
    return (json.dumps(label) for piece in pieces(labels) for label in piece.to_pylist())


def _refuse_unknown(rows: Rows, labels: pa.Array, parents: np.ndarray, found: pa.Array, names: Sequence[str]) -> None:
    if not found.null_count:
        return
    place = int(np.flatnonzero(found.is_null().to_numpy(zero_copy_only=False))[0])
    row = rows.table["id"][int(parents[place])].as_py()
    label = labels[place].as_py()
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    hint = ""
    if INTEGER.fullmatch(label) and not any(INTEGER.fullmatch(name) for name in names):
        hint = " If the labels are numbers for these names, list the names in data.label_names."
    raise UserError(f"{rows.where}, row {row}: the label '{label}' is not among the known ones: {shown}.{hint}")


def _names(rows: Rows, checked: bool) -> Rows:
    """One label a row as strings: integers without a point, booleans as true and false."""
    column = rows.table["label"]
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise UserError(f"{rows.where}: the label column holds {kind} values, not names. Write it as text.")
    if pa.types.is_nested(kind):
        raise UserError(
            f"{rows.where}: the label column holds {kind} values. For several labels a row choose a "
            "multi-label task; otherwise name a column of single labels."
        )
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
        rows = rows.with_labels(column)
        rows = rows.without(~np.isfinite(column.to_numpy()), NO_LABEL)
        _refuse_numbers(rows, rows.table["label"])
        return rows.with_labels(rows.table["label"].cast(pa.int64()).cast(pa.string()))
    rows = rows.with_labels(column.cast(pa.string()))
    rows = rows.without(blank(rows.table["label"]), NO_LABEL)
    if count := padded(rows.table["label"]):
        log.warning("%s: white space around %d labels is cut off.", rows.where, count)
        rows = rows.with_labels(_strings(rows.table["label"], pc.utf8_trim_whitespace))
    column = rows.table["label"]
    try:
        finite = [pc.all(pc.is_finite(piece.cast(pa.float64()))).as_py() for piece in pieces(column)]
    except pa.ArrowInvalid:
        return rows
    if checked and all(finite):
        _refuse_numbers(rows, column)
    return rows.with_labels(_strings(column, _whole))


def _whole(labels: pa.Array) -> pa.Array:
    """Integers without a point: a column of them with a gap comes out of pandas as 0.0, 1.0, ..."""
    whole = pc.match_substring_regex(labels, r"^-?\d+\.0+$")
    return pc.if_else(whole, pc.replace_substring_regex(labels, r"\.0+$", ""), labels)


def _strings(column: pa.ChunkedArray, change: Callable[[pa.Array], pa.Array]) -> pa.ChunkedArray:
    """The column of strings that `change` makes of each piece."""
    schema = pa.schema([("label", pa.string())])
    return gather(schema, (pa.record_batch([change(p)], schema=schema) for p in pieces(column)))["label"]


def _refuse_numbers(rows: Rows, labels: pa.ChunkedArray) -> None:
    """Raises a UserError for a fraction, and for a float so large (1e20) that it stands for no one integer."""
    start = 0
    for piece in pieces(labels):
        values = piece.cast(pa.float64()).to_numpy(zero_copy_only=False)
        large = np.abs(values) > EXACT
        if large.any() and pa.types.is_string(piece.type):  # written out, a string of digits is a name
            large &= ~np.asarray(pc.match_substring_regex(piece, r"^-?\d+(\.0+)?$"))
        found = np.flatnonzero((values != np.round(values)) | large)
        if len(found):
            row = int(found[0])
            raise UserError(
                f"{rows.where}, row {rows.table['id'][start + row]}: the label {values[row]:g} is a number, not a "
                "class. To predict numbers choose task=text_regression."
            )
        start += len(piece)


def _values(rows: Rows) -> Rows:
    """A number a row as float64."""
    column = rows.table["label"]
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        rows = rows.without(blank(column), NO_LABEL)
        column = pc.utf8_trim_whitespace(rows.table["label"])
        try:
            column = column.cast(pa.float64())
        except pa.ArrowInvalid:
            column = _parsed(rows, column)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)  # integers above 2^53 are rounded, as any number is
    else:
        raise UserError(f"{rows.where}: the label column holds {kind} values, not numbers.")
    rows = rows.with_labels(column)
    rows = rows.without(~np.isfinite(column.to_numpy()), NO_LABEL)
    values = rows.table["label"].to_numpy()
    if len(found := np.flatnonzero(np.abs(values) > LARGEST)):
        row = int(found[0])
        raise UserError(
            f"{rows.where}, row {rows.table['id'][row]}: the label {values[row]:g} is too large: of more than "
            f"{LARGEST:g} the squared error is infinite. Scale the numbers, or leave the row out."
        )
    return rows


def _parsed(rows: Rows, column: pa.ChunkedArray) -> pa.Array:
    values = []
    for row, text in zip(rows.ids, column.to_pylist(), strict=True):
        try:
            values.append(float(text))
        except ValueError:
            raise UserError(f"{rows.where}, row {row}: the label '{text}' is not a number.") from None
    return pa.array(values, pa.float64())
