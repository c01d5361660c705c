"""What a text classifier or regressor needs of a row, and what it answers. No torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded
from noria.data.batch.tokens import cached_tokens
from noria.data.rows.rows import Rows
from noria.task.form import Form, Written
from noria.task.text_classification import labels as label_room

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)

Kind = Literal["single_label", "multi_label", "regression"]


class TextClassificationForm(Form):
    """Texts, or pairs of texts, each with a label, several labels or a number.

    Args:
        kind: `single_label`, `multi_label` or `regression`.
        labels: their names, in the order of the network's outputs; none yet, or none at all for a regression.
        texts: how many texts a row has: 1, or 2 for pairs.
    """

    needs = (("text", "label"),)
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "single_label": {"label": "class", "prediction": "class", "probabilities": "shares", "loss": "number"},
        "multi_label": {"label": "classes", "prediction": "classes", "probabilities": "shares", "loss": "number"},
        "regression": {"label": "number", "prediction": "number", "loss": "number"},
    }

    def __init__(self, kind: Kind = "single_label", labels: Sequence[str] = (), texts: int = 1) -> None:
        self.kind = kind
        self.labels = [] if kind == "regression" else list(labels)
        self.texts = texts

    @property
    def votable(self) -> bool:
        return self.kind == "single_label"

    def settings(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels), "texts": self.texts}

    def clean(self, given: dict[str, Rows], written: Written) -> dict[str, Rows]:
        columns = written.get("label")
        if isinstance(columns, list) and self.kind != "multi_label":
            raise UserError(
                f"data.label names a list of columns ({', '.join(columns)}): a 0 or 1 for each label, which is "
                "task=multilabel_classification."
            )
        separator, names = written.get("label_separator", "|"), written.get("label_names")
        return label_room.clean(given, self.kind, separator, names, written.get("multi_hot"))

    def settle(self, train: Rows, written: Written) -> None:
        self.texts = 1 if train.pairs is None else 2
        if self.kind != "regression" and not self.labels:
            declared = written.get("label_names") or train.label_names
            self.labels = [name.strip() for name in declared] if declared else label_room.names_of(train, self.kind)

    def check(self, rows: Rows) -> None:
        self.targets(rows)

    def targets(self, rows: Rows) -> np.ndarray:
        """Label numbers int64 (n,), zeros and ones float32 (n, labels), or values float32 (n,)."""
        return label_room.encode(rows, self.kind, self.labels)

    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool, written: Written
    ) -> Encoded:
        tokens = cached_tokens(tokenizer, *_texts(rows), max_length)
        if tokens.plain:
            said = sorted({str(token) for token in (tokenizer.pad_token, tokenizer.eos_token) if token})
            log.warning(
                "%s: %s of the texts hold %s, which is read as text: to a model it would mean where a row ends.",
                rows.where, f"{tokens.plain:,}", " or ".join(said),
            )  # fmt: skip
        return Encoded.of(tokenizer, tokens, self.targets(rows))

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        texts = [column for column in _texts(rows) if column is not None]
        return [rows.table["id"], *texts, label_room.as_text(rows, self.kind)]


def _texts(rows: Rows) -> tuple[Any, Any]:
    """The column of the texts, and that of the second ones or None, none of it copied."""
    return rows.table["text"], rows.table["text_pair"] if "text_pair" in rows.table.column_names else None
