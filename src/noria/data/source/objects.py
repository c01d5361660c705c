"""Objects as an Arrow table, a piece at a time: a column's type is one that all its values have.

Knows no file: what messages call an object is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from noria.common.errors import UserError
from noria.data.rows.mapped import gather

PIECE = 1024  # objects that are held at a time
BAD_VALUE = (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError)

Numbered = tuple[int, dict[str, Any]]


class _WiderError(Exception):
    """A value does not fit the type that those before it have, but one type fits all."""


def table_of(
    objects: Callable[[], Iterator[Numbered]], columns: Sequence[str], where: Callable[[int], str], place: str
) -> pa.Table:
    """The named columns of numbered objects; what an object lacks is null.

    Args:
        objects: gives them all, from the first; called again where a column's type shows late.
        where: what messages call the object of a number.
        place: what a number counts: a line, an item.

    Raises:
        UserError: a value that Arrow does not know, or a column of values without a common type.
    """
    kinds: dict[str, pa.DataType] = {}
    while True:
        batches = _batches(objects(), columns, kinds, where, place)
        try:
            first = next(batches)
            return gather(first.schema, chain([first], batches))
        except _WiderError:
            continue


def _batches(
    objects: Iterator[Numbered],
    columns: Sequence[str],
    kinds: dict[str, pa.DataType],
    where: Callable[[int], str],
    place: str,
) -> Iterator[pa.RecordBatch]:
    """Batches of one schema; `kinds` are the types found so far."""
    firsts: dict[str, tuple[int, type]] = {}  # a column's first value: where it stood, and its type
    while piece := list(islice(objects, PIECE)):
        arrays = []
        for name in columns:
            values = [(number, record.get(name)) for number, record in piece]
            try:
                arrays.append(_array([value for _, value in values], name, kinds))
            except BAD_VALUE as error:
                raise _refusal(values, name, firsts.get(name), where, place, error) from None
            if name not in firsts and (some := next((each for each in values if each[1] is not None), None)):
                firsts[name] = some[0], type(some[1])
        yield pa.record_batch(arrays, names=list(columns))


def _array(values: list[Any], name: str, kinds: dict[str, pa.DataType]) -> pa.Array:
    array = pa.array(values)
    if array.type == kinds.setdefault(name, array.type):
        return array
    both = [pa.schema([(name, kind)]) for kind in (kinds[name], array.type)]
    common = pa.unify_schemas(both, promote_options="permissive").field(0).type
    if common != kinds[name]:
        kinds[name] = common
        raise _WiderError
    return pa.array(values, common)


def _refusal(
    values: list[tuple[int, Any]],
    name: str,
    first: tuple[int, type] | None,
    where: Callable[[int], str],
    place: str,
    error: Exception,
) -> UserError:
    """What is wrong with these values, of which the first of the column may stand before them."""
    for number, value in values:
        try:
            pa.array([value])
        except BAD_VALUE as own:
            return UserError(f"{where(number)}: a bad value for '{name}': {own}")
        if value is None:
            continue
        first = first or (number, type(value))
        if type(value) is not first[1]:
            return UserError(
                f"{where(number)}: '{name}' is of type {type(value).__name__}, "
                f"in {place} {first[0]} of type {first[1].__name__}."
            )
    return UserError(f"{where(values[0][0])} or after it: the values of '{name}' have no common type: {error}")
