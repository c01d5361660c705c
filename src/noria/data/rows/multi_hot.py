"""Several labels a row as zeros and ones, one a label: whether they are that, and which names they stand for.

Knows neither files nor separators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.rows.rows import Rows

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

TRUE = ("1", "1.0", "true", "True", "TRUE", "yes", "Yes", "YES")
FALSE = ("0", "0.0", "false", "False", "FALSE", "no", "No", "NO")
DECIDES = "data.multi_hot=true reads one 0 or 1 for each label, data.multi_hot=false reads names"


def are_multi_hot(splits: Sequence[Rows], listed: bool, names: int | None, asked: bool | None) -> bool:
    """Whether the lists of labels of all splits are zeros and ones, one for each label, and not names.

    They are where they cannot be names: lists of booleans or of 0.0 and 1.0; lists of one length that hold nothing but
    0 and 1, one of them more than once.

    Args:
        splits: rows whose labels are lists.
        listed: they were lists in the source; False: each was one value.
        names: how many names are declared.
        asked: `data.multi_hot`.

    Raises:
        UserError: both readings are possible, or neither is.
    """
    lists = [rows.table["label"] for rows in splits]
    inner = lists[0].type.value_type
    where = splits[0].where
    if asked:
        return True
    if pa.types.is_boolean(inner) or pa.types.is_floating(inner):
        if asked is False:
            raise UserError(f"{where}: data.multi_hot=false, but the label lists hold {inner} values, not names.")
        return True
    found = {value for column in lists for value in pc.unique(pc.list_flatten(column)).to_pylist()} - {None}
    words = {str(value) for value in found}
    others = words - {"-1"}  # which often marks a label that nobody looked for: `named` refuses it
    if asked is False or not others or not is_binary(others):
        return False
    lengths = sorted({size for column in lists for size in pc.unique(pc.list_value_length(column)).to_pylist()})
    repeated = lengths[-1] > 2 or any(_twice(column) for column in lists)
    if len(lengths) == 1 and repeated:
        return True
    if others != words:
        return False
    if repeated:
        raise UserError(
            f"{where}: the labels look like one 0 or 1 for each label, but their number is not the same in all rows: "
            f"{', '.join(map(str, lengths[:5]))}. Mend the rows; data.multi_hot=false reads names '0' and '1'."
        )
    if lengths == [1] and names == 1:
        return True
    single = lengths == [1] or (not listed and lengths == [0, 1])
    if (len(lengths) > 1 and not single) or (single and names is not None):
        return False
    each = "a 0 or a 1" if single else "a 0 and a 1"
    column = "" if listed else " For columns of 0 and 1 data.label=[<column>] is the same as data.multi_hot=true."
    raise UserError(
        f"{where}: the labels of every row are {each}, which can be read in two ways: as names '0' and '1', or as "
        f"{'no or yes to one label' if single else 'no and yes to two labels'}. {DECIDES}.{column}"
    )


def is_binary(words: set[str]) -> bool:
    """Whether these are nothing but words for yes and no."""
    return words <= {*TRUE, *FALSE}


def _twice(column: pa.ChunkedArray) -> bool:
    """Whether a list of two holds the same value twice."""
    two = column.filter(pc.equal(pc.list_value_length(column), 2))
    return bool(pc.any(pc.equal(pc.list_element(two, 0), pc.list_element(two, 1))).as_py())


def named(rows: Rows, declared: Sequence[str] | None) -> Rows:
    """The rows with lists of names in place of lists of zeros and ones; `label_names` are all the names.

    Args:
        declared: the names of the labels, in their order; None: "0", "1", "2", ...

    Raises:
        UserError: a value is no 0 or 1, or a row has not one for each label.
    """
    column = rows.table["label"].combine_chunks()
    lengths = pc.list_value_length(column).to_numpy()
    length = int(lengths[0])
    names = list(declared) if declared else [str(place) for place in range(length)]
    if len({*names}) < len(names):
        raise UserError(f"data.label_names names a label twice: {', '.join(names)}.")
    if not names:
        raise UserError(f"{rows.where}, row {rows.ids[0]}: no 0 and no 1, where there should be one for each label.")
    wrong = np.flatnonzero(lengths != len(names))
    if len(wrong):
        what = f"there are {len(names)} names" if declared else f"the first row has {length}"
        raise UserError(
            f"{rows.where}, row {rows.ids[wrong[0]]}: {lengths[wrong[0]]} values of 0 and 1, but {what}"
            + (f" ({', '.join(names[:20])})." if declared else ".")
        )
    hot = zeros_and_ones(column.flatten())
    bad = np.flatnonzero(hot < 0)
    if len(bad):
        value = column.flatten()[int(bad[0])].as_py()
        row, shown = rows.ids[bad[0] // length], "an empty one" if value is None else repr(value)
        raise UserError(f"{rows.where}, row {row}: {shown} among labels of 0 and 1.")
    table = hot.reshape(-1, len(names))
    offsets = np.concatenate([[0], np.cumsum(table.sum(1))])
    values = pa.array(names, pa.string()).take(pa.array(np.nonzero(table)[1]))
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return replace(rows.with_labels(lists), label_names=tuple(names))


def zeros_and_ones(values: pa.Array) -> np.ndarray:
    """Booleans, numbers or words as 0 and 1 (int8); -1 for what is missing or is neither."""
    words = pc.utf8_trim_whitespace(values.cast(pa.string()))
    yes, no = (np.asarray(pc.is_in(words, value_set=pa.array(set_))) for set_ in (TRUE, FALSE))
    return np.where(yes, 1, np.where(no, 0, -1)).astype(np.int8)


def one_column(table: pa.Table, columns: Sequence[str], where: str) -> tuple[pa.Table, str]:
    """The table with one column of lists in place of a column of zeros and ones for each label, and its name.

    A row of which a cell is empty has no labels that could be known: its list is null.

    Raises:
        UserError: a column is missing, or holds something else.
    """
    name = ", ".join(columns)
    parts, missing = [], np.zeros(len(table), bool)
    for column in columns:
        values = table[column].combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        if pa.types.is_nested(values.type):
            raise UserError(f"{where}: the column '{column}' holds {values.type} values, not 0 and 1.")
        hot = zeros_and_ones(values)
        words = pc.utf8_trim_whitespace(values.cast(pa.string())).fill_null("")
        empty = np.asarray(pc.is_in(words, value_set=pa.array(["", "nan"])))
        bad = np.flatnonzero((hot < 0) & ~empty)
        if len(bad):
            raise UserError(
                f"{where}, row {bad[0] + 1}: '{column}' is {values[int(bad[0])].as_py()!r}. Where data.label names "
                f"several columns, each holds 0 or 1."
            )
        if empty.any() and (hot != 0).all():
            raise UserError(
                f"{where}: the column '{column}' has empty cells and no 0, so an empty cell may mean 0 or not known. "
                "Write 0 where it means 0."
            )
        missing |= empty
        parts.append(hot)
    flat = pa.array(np.stack(parts, 1).reshape(-1) == 1)
    offsets = np.arange(0, len(table) + 1) * len(columns)
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat, mask=pa.array(missing))
    return table.drop_columns(list(columns)).append_column(name, lists), name
