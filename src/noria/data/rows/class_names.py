"""Names of classes: those that a table declares for its numbers, and names as they are compared, without white space.

Knows no file and no task.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.rows.mapped import pieces

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none


def with_declared(table: pa.Table, column: str) -> tuple[pa.Table, tuple[str, ...] | None]:
    """The table, and the names that it declares for the numbers 0, 1, 2, ... of a column.

    The library `datasets` writes them into a table's schema. In a column of such numbers -1 marks a row without a
    label: it becomes null.
    """
    names = _declared(table.schema, column)
    if names is None or column not in table.column_names or not pa.types.is_integer(table[column].type):
        return table, names
    place, numbers = table.column_names.index(column), table[column]
    return table.set_column(place, column, pc.if_else(pc.less(numbers, 0), None, numbers)), names


def _declared(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
        while "_type" not in feature or feature["_type"] != "ClassLabel":  # a list of classes
            feature = feature[0] if isinstance(feature, list) else feature["feature"]
        return tuple(map(str, feature["names"])) or None
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def renamed(labels: pa.Array, declared: Sequence[str]) -> pa.Array:
    """Numbers replaced by the declared name at that place; other labels, known or not, stay.

    Raises:
        UserError: a name is declared twice.
    """
    if len(set(declared)) < len(declared):
        raise UserError(f"data.label_names names a label twice: {', '.join(declared)}.")
    encoded = labels.dictionary_encode()
    names = []
    for name in encoded.dictionary.to_pylist():
        numbered = name not in declared and name.isdecimal() and len(name) < 10 and int(name) < len(declared)
        names.append(declared[int(name)] if numbered else name)
    return pa.array(names, pa.string()).take(encoded.indices)


def padded(labels: pa.Array | pa.ChunkedArray) -> int:
    """How many labels (strings, null or not) have white space before or after a name."""
    count = 0
    for piece in pieces(labels):
        trimmed = pc.utf8_trim_whitespace(piece)
        changed = pc.and_(pc.not_equal(trimmed, piece), pc.not_equal(trimmed, ""))
        count += int(np.count_nonzero(changed.fill_null(False).to_numpy(zero_copy_only=False)))
    return count
