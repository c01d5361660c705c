"""Texts with labels. Knows neither where the rows come from (a leaf's `read` does) nor which model will see them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from noria.data import labels as label_room
from noria.data.encoded import Encoded
from noria.data.module import DataModule
from noria.data.rows import Rows
from noria.data.tokens import cached_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class TextData(DataModule):
    """Texts or pairs of texts with labels.

    After `setup` also: `labels` (the class names in the order of the targets; empty for regression) and
    `num_labels` (1 for regression).

    Args:
        label_names: the names of the labels 0, 1, 2, ... where the data holds numbers.
        label_separator: what stands between the labels of one cell, for several labels a row.
    """

    kinds = ("single_label", "multi_label", "regression")

    def __init__(
        self,
        kind: str,
        tokenizer: PreTrainedTokenizerBase | None,
        seed: int,
        labels: list[str] | None = None,
        *,
        label_names: list[str] | None = None,
        label_separator: str = "|",
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, None if kind == "regression" else labels, **kwargs)
        self.label_names = label_names
        self.label_separator = label_separator
        self._declared: list[str] | None = None
        self._targets: dict[str, np.ndarray] = {}

    @property
    def num_labels(self) -> int:
        return 1 if self.kind == "regression" else len(self.labels)

    def clean(self, given: dict[str, Rows]) -> dict[str, Rows]:
        named = next((list(rows.label_names) for rows in given.values() if rows.label_names), None)
        self._declared = self.label_names or named
        return {n: label_room.clean(r, self.kind, self.label_separator, self._declared) for n, r in given.items()}

    def settle(self, train: Rows) -> None:
        if self.kind != "regression" and not self.labels:
            self.labels = list(self._declared) if self._declared else label_room.names_of(train, self.kind)

    def use(self, splits: dict[str, Rows]) -> None:
        self._targets = {name: label_room.encode(rows, self.kind, self.labels) for name, rows in splits.items()}

    def encode(self, split: str) -> Encoded:
        assert self.tokenizer is not None
        rows = self.splits[split]
        tokens = cached_tokens(self.tokenizer, *texts_of(rows), self.max_length)
        self.report["truncated"][split] = tokens.truncated
        return Encoded.of(self.tokenizer, tokens, self._targets[split])

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        texts = [column for column in texts_of(rows) if column is not None]
        return [rows.table["id"], *texts, label_room.as_text(rows, self.kind)]


def texts_of(rows: Rows) -> tuple[Any, Any]:
    """The column of the texts, and that of the second ones or None, none of it copied."""
    return rows.table["text"], rows.table["text_pair"] if "text_pair" in rows.table.column_names else None
