"""Texts with labels. Knows neither where the rows come from (a leaf's `read` does) nor which model will see them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from noria.data.batch.encoded import Encoded
from noria.data.batch.tokens import cached_tokens
from noria.data.module import DataModule
from noria.data.rows import labels as label_room
from noria.data.rows.rows import Rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)


class TextData(DataModule):
    """Texts or pairs of texts with labels.

    After `setup` also: `labels` (the class names in the order of the targets; empty for regression) and
    `num_labels` (1 for regression).

    Args:
        label_names: the names of the labels 0, 1, 2, ... where the data holds numbers, or of the places of zeros and
            ones.
        label_separator: what stands between the labels of one cell, for several labels a row.
        multi_hot: several labels a row are zeros and ones, one for each label; False: they are names or numbers of
            labels; None: found out, or refused where both are possible.
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
        multi_hot: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kind, tokenizer, seed, None if kind == "regression" else labels, **kwargs)
        self.label_names = label_names
        self.label_separator = label_separator
        self.multi_hot = multi_hot
        self._declared: list[str] | None = None
        self._targets: dict[str, np.ndarray] = {}

    @property
    def num_labels(self) -> int:
        return 1 if self.kind == "regression" else len(self.labels)

    def clean(self, given: dict[str, Rows]) -> dict[str, Rows]:
        rows = label_room.clean(given, self.kind, self.label_separator, self.label_names, self.multi_hot)
        names = self.label_names or next((split.label_names for split in rows.values() if split.label_names), None)
        self._declared = [name.strip() for name in names] if names else None
        return rows

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
        if tokens.plain:
            said = sorted({str(token) for token in (self.tokenizer.pad_token, self.tokenizer.eos_token) if token})
            log.warning(
                "%s: %s of the texts hold %s, which is read as text: to a model it would mean where a row ends.",
                split, f"{tokens.plain:,}", " or ".join(said),
            )  # fmt: skip
        return Encoded.of(self.tokenizer, tokens, self._targets[split])

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        texts = [column for column in texts_of(rows) if column is not None]
        return [rows.table["id"], *texts, label_room.as_text(rows, self.kind)]


def texts_of(rows: Rows) -> tuple[Any, Any]:
    """The column of the texts, and that of the second ones or None, none of it copied."""
    return rows.table["text"], rows.table["text_pair"] if "text_pair" in rows.table.column_names else None
