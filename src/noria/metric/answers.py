"""Answers to rows as arrays: what every metric reads. Training, evaluation and comparison give it. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from noria.common.errors import UserError

CONTENTS = {
    "class": "label numbers (n,)",
    "classes": "zeros and ones (n, labels)",
    "shares": "probabilities (n, labels), in the order of the labels",
    "number": "values (n,), float64",
    "count": "whole numbers (n,)",
    "text": "texts (n,), objects",
    "texts": "a list of texts for each row, each of them right (n,), objects",
    "tags": "a list of tags for each row, one a word (n,), objects",
    "ranks": "a list of numbers for each row, one a relevant document (n,), objects",
    "spans": "for people: what was found, with its places in the text; no metric reads it",
}
"""What a column may hold."""


def objects(values: Sequence[Any]) -> np.ndarray:
    """Texts, or lists of them, as an array (n,) of objects."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


class Answers(Mapping[str, np.ndarray]):
    """What was answered to n rows, and what is right.

    Args:
        columns: by name, each of them for all n rows.
        labels: the names of the classes, for columns of classes and shares.

    Raises:
        ValueError: no rows, or columns of different lengths.
    """

    def __init__(self, columns: Mapping[str, np.ndarray], labels: tuple[str, ...] = ()) -> None:
        self._columns = dict(columns)
        self.labels = labels
        lengths = {name: len(values) for name, values in self._columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of answers must be equally long, got {lengths}")
        self.rows = next(iter(lengths.values()), 0)
        if not self.rows:
            raise ValueError("answers need at least one row, got none")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise UserError(
                f"The predictions do not tell their {name}: measure the runs anew with noria stage=evaluate."
            )
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def has_nan(self) -> bool:
        """Whether a number is NaN: then the model has broken down, and no metric is a number."""
        floats = (values for values in self._columns.values() if values.dtype.kind == "f")
        return any(bool(np.isnan(values).any()) for values in floats)

    def table(self, name: str) -> np.ndarray:
        """A column of classes as zeros and ones (n, labels), float64."""
        values = self[name]
        one_of = values.ndim == 1
        return (values[:, None] == np.arange(len(self.labels)) if one_of else values).astype(np.float64)
