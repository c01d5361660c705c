"""Classes whose few rows a split by hash would leave out of train: one text of each stays there.

Knows no fractions and no seed.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.data.rows.mapped import pieces
from noria.data.rows.rows import Rows

log = logging.getLogger(__name__)
pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

SHOWN = 10  # names in a message
MAX_CLASSES = 1000  # more different labels are no classes


def kept_in_train(rows: Rows, out: np.ndarray, key: str) -> np.ndarray:
    """Which of the rows that would leave train (`out`, bool, one a row) stay, so that train has every class (bool).

    Of a class without a row in train, the text with the lowest key stays, with all rows of that text: which one it is
    depends neither on the order of the rows nor on chance. Where every class has a row in train, none stays.

    Args:
        rows: cleaned: a label is a string or a list of strings; other labels are no classes.
        key: the column that tells texts apart.
    """
    stays = np.zeros(len(rows), bool)
    every, inside = _names(rows), _names(rows, ~out)
    lost = sorted(every - inside)
    if not lost or len(every) > MAX_CLASSES or len(every) == len(rows):  # a column of ids: the names are refused later
        return stays
    names, owners = _classes(rows)
    places = np.flatnonzero(np.asarray(pc.is_in(names, value_set=pa.array(lost, pa.string()))))
    keys = rows.table[key].take(pa.array(owners[places])).to_pylist()
    texts: dict[str, set[bytes]] = {}
    for name, text in zip(names.take(pa.array(places)).to_pylist(), keys, strict=True):
        texts.setdefault(name, set()).add(text)
    chosen: set[bytes] = set()
    for name in lost:
        if not texts[name] & chosen:  # another lost class may have kept one of its texts
            chosen.add(min(texts[name]))
    stays = np.asarray(pc.is_in(rows.table[key], value_set=pa.array(sorted(chosen), rows.table[key].type)))
    _tell(rows, lost, [name for name in lost if texts[name] <= chosen])
    return stays & out


def _names(rows: Rows, mask: np.ndarray | None = None) -> set[str]:
    """The classes of the rows for which the mask (bool, one a row) holds; none where labels are no classes."""
    if "label" not in rows.table.column_names:
        return set()
    column, found, start = rows.table["label"], set(), 0
    several = pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type)
    if not several and not pa.types.is_string(column.type):
        return set()
    for piece in pieces(column):
        some = piece if mask is None else piece.filter(pa.array(mask[start : start + len(piece)]))
        found.update(pc.unique(pc.list_flatten(some) if several else some).to_pylist())
        start += len(piece)
    return found - {None}


def _classes(rows: Rows) -> tuple[Any, np.ndarray]:
    """The names of classes, one after the other, and the row that each stands in."""
    column = rows.table["label"]
    if pa.types.is_string(column.type):
        return column, np.arange(len(rows))
    sizes = np.concatenate([pc.list_value_length(piece).to_numpy(zero_copy_only=False) for piece in pieces(column)])
    return pc.list_flatten(column), np.repeat(np.arange(len(rows)), sizes)


def _tell(rows: Rows, lost: list[str], alone: list[str]) -> None:
    def shown(names: list[str]) -> str:
        more = f", … ({len(names)} in all)" if len(names) > SHOWN else ""
        return ", ".join(map(repr, names[:SHOWN])) + more

    log.warning(
        "%s: the split by hash would leave train without the labels %s; a text of each stays in train.",
        rows.where,
        shown(lost),
    )
    if alone:
        log.warning("%s: no other text has the labels %s: they are learnt, never measured.", rows.where, shown(alone))
