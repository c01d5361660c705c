"""Rows out of a raw table, whose labels stand in one column, or as zeros and ones in several.

Knows no file.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.rows.class_names import with_declared
from noria.data.rows.multi_hot import one_column
from noria.data.rows.rows import Rows, from_table, require_columns


def rows_of(table: pa.Table, source: str, where: str, text: Sequence[str], label: str | list[str]) -> Rows:
    """The rows of a table, with the names that it declares for its labels.

    Args:
        source, where, text: as `from_table` takes them.
        label: the column of the labels, or the columns of zeros and ones, one for each label.

    Raises:
        UserError: a column is missing or does not hold what it must, or no row is left.
    """
    if isinstance(label, str):
        table, names = with_declared(table, label)
        return from_table(table, source=source, where=where, text=text, label=label, label_names=names)
    require_columns(table.column_names, [*text, *label], where)
    if twice := {*text} & {*label}:
        raise UserError(f"data.text and data.label both name the column '{min(twice)}'.")
    table, column = one_column(table, label, where)
    return from_table(table, source=source, where=where, text=text, label=column, label_names=tuple(label))
