"""What the contract of all kinds of work (`tests/task/test_contract.py`) has to know of one: `CASES` in `case.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A small fit of one kind, and inputs for its model.

    Args:
        name: of the case.
        words: the config of the fit, but for the model.
        files: what it reads, by name.
        architecture: of the tiny model.
        opens: the class of transformers that opens the artifact.
        monitor: a number that two runs are compared by.
        asked: rows of an input.
        long: such a row, with more tokens than the model reads.
        unanswerable: rows that ask nothing.
        wrong: what is no request of a served model.
        predict: keys of `stage=predict`.
    """

    name: str
    words: Sequence[str]
    files: dict[str, str]
    architecture: str
    opens: str
    monitor: str
    asked: Sequence[dict[str, Any]]
    long: dict[str, Any]
    unanswerable: Sequence[dict[str, Any]]
    wrong: Sequence[Any] = field(default_factory=tuple)
    predict: Sequence[str] = field(default_factory=tuple)
