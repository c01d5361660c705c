"""What a text classifier or regressor needs of a row, and what it answers. No torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute

from noria.common.errors import UserError
from noria.data.batch.encoded import Encoded, encode_texts
from noria.data.batch.tokens import cached_tokens
from noria.data.rows.rows import Rows
from noria.metric.answers import Answers
from noria.task.form import Form, Written
from noria.task.outputs import Outputs
from noria.task.requests import NO_NUMBER, Given
from noria.task.text_classification import labels as label_room
from noria.task.text_classification.ballot import TextClassificationBallot
from noria.task.text_classification.reading import TextReading
from noria.task.text_classification.service import TextClassificationService

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

log = logging.getLogger(__name__)
pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

THRESHOLD = 0.5  # of several labels a row has each whose probability is above this

Kind = Literal["single_label", "multi_label", "regression"]


class TextClassificationForm(Form):
    """Texts, or pairs of texts, each with a label, several labels or a number.

    Args:
        kind: `single_label`, `multi_label` or `regression`.
        labels: their names, in the order of the network's outputs; none yet, or none at all for a regression.
        texts: how many texts a row has: 1, or 2 for pairs.

    Raises:
        UserError: a value that is none of these.
    """

    needs = (("text", "label"),)
    answers: ClassVar[dict[str, dict[str, str]]] = {
        "single_label": {"label": "class", "prediction": "class", "probabilities": "shares", "loss": "number"},
        "multi_label": {"label": "classes", "prediction": "classes", "probabilities": "shares", "loss": "number"},
        "regression": {"label": "number", "prediction": "number", "loss": "number"},
    }

    def __init__(self, kind: Kind = "single_label", labels: Sequence[str] = (), texts: int = 1) -> None:
        if kind not in self.answers:
            raise UserError(f"its kind is '{kind}', and should be one of {', '.join(self.answers)}.")
        names = list(labels) if isinstance(labels, list | tuple) else [None]
        if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
            raise UserError("its labels are no list of different names.")
        self.kind = kind
        self.labels = [] if kind == "regression" else list(labels)
        self.texts = texts

    def contents_of(self) -> dict[str, str]:
        return self.answers[self.kind]

    def service(self) -> TextClassificationService:
        return TextClassificationService(self)

    def ballot(self) -> TextClassificationBallot:
        if self.kind != "single_label":
            raise UserError("data=feedback learns one label a text: the answers of this task are something else.")
        return TextClassificationBallot(list(self.labels), self.texts > 1)

    def right(self, table: pa.Table) -> np.ndarray:
        if self.kind == "regression":
            raise UserError("numbers are neither right nor wrong, so no two models can be judged by it.")
        found = self.read(table)
        right: np.ndarray = np.equal(found["label"], found["prediction"])
        return np.all(right, axis=-1) if right.ndim > 1 else right

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

    def decide(self, outputs: Outputs, encoded: Encoded, index: np.ndarray) -> pa.Table:
        columns: dict[str, Any] = {"row": encoded.row[index]}
        if encoded.labels is not None:
            columns["label"] = self._named(encoded.labels[index])
        scores = outputs["scores"]
        assert isinstance(scores, np.ndarray)
        columns["prediction"] = self._named(self._chosen(scores))
        if self.kind != "regression":
            ends = np.arange(len(scores) + 1, dtype=np.int32) * scores.shape[1]
            columns["probabilities"] = pa.ListArray.from_arrays(ends, pa.array(scores.astype(np.float32).ravel()))
        if "loss" in outputs:
            columns["loss"] = outputs["loss"]
        return pa.table(columns)

    def made_up(self, encoded: Encoded) -> Outputs:
        drawn = np.random.default_rng(0).random((len(encoded), max(1, len(self.labels))), dtype=np.float32)
        if self.kind == "regression":
            return {"scores": drawn[:, 0]}
        return {"scores": drawn / drawn.sum(1, keepdims=True) if self.kind == "single_label" else drawn}

    def read(self, table: pa.Table) -> Answers:
        found: dict[str, np.ndarray] = {}
        for name in ("label", "prediction"):
            if name in table.column_names:
                found[name] = self._coded(table[name])
        if "probabilities" in table.column_names:
            flat = pc.list_flatten(table["probabilities"].combine_chunks())
            found["probabilities"] = np.asarray(flat, dtype=np.float32).reshape(len(table), -1)
        if "loss" in table.column_names:
            found["loss"] = np.asarray(table["loss"], dtype=np.float64)
        return Answers(found, tuple(self.labels))

    def reading(self, given: Given) -> TextReading:
        return TextReading(given, self.texts)

    def encode_requests(
        self, requests: Sequence[Mapping[str, str]], tokenizer: PreTrainedTokenizerBase, max_length: int
    ) -> Encoded:
        texts = [request["text"] for request in requests]
        pairs = [request["text_pair"] for request in requests] if self.texts > 1 else None
        return encode_texts(tokenizer, texts, pairs, max_length)

    def replies(self, outputs: Outputs, encoded: Encoded) -> list[dict[str, Any]]:
        scores = outputs["scores"]
        assert isinstance(scores, np.ndarray)
        finite = [bool(np.isfinite(row).all()) for row in scores]
        predicted = self._named(self._chosen(scores)).to_pylist()
        found: list[dict[str, Any]] = []
        for is_number, prediction, row in zip(finite, predicted, scores.tolist(), strict=True):
            if not is_number:
                found.append({"error": NO_NUMBER})
            elif self.kind == "regression":
                found.append({"prediction": prediction})
            else:
                shares = {name: round(share, 6) for name, share in zip(self.labels, row, strict=True)}
                found.append({"prediction": prediction, "probabilities": shares})
        return found

    def _chosen(self, scores: np.ndarray) -> np.ndarray:
        """Label numbers of probabilities (n, labels), zeros and ones (n, labels) of several labels, or the values."""
        if self.kind == "single_label":
            return scores.argmax(-1)
        return (scores > THRESHOLD).astype(np.float32) if self.kind == "multi_label" else scores

    def _named(self, coded: np.ndarray) -> pa.Array:
        """Names, lists of names or numbers, for label numbers, zeros and ones, or values."""
        if self.kind == "regression":
            return pa.array(coded.astype(np.float64))
        names = pa.array(self.labels, pa.string())
        if self.kind == "single_label":
            return names.take(pa.array(coded))
        rows, numbers = np.nonzero(coded)
        ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(coded)))]).astype(np.int32)
        return pa.ListArray.from_arrays(ends, names.take(pa.array(numbers)))

    def _coded(self, column: pa.ChunkedArray) -> np.ndarray:
        """The other way round.

        Raises:
            UserError: a name is none of the labels, or the column holds something else.
        """
        column = column.combine_chunks()
        kinds = {
            "single_label": pa.types.is_string,
            "multi_label": pa.types.is_list,
            "regression": pa.types.is_floating,
        }
        if not kinds[self.kind](column.type):
            raise UserError(f"These predictions hold {column.type}, which are no answers of task.kind={self.kind}.")
        if self.kind == "regression":
            return np.asarray(column, dtype=np.float64)
        flat = column if self.kind == "single_label" else pc.list_flatten(column)
        numbers = pc.index_in(flat, value_set=pa.array(self.labels, pa.string()))
        if numbers.null_count:
            other = flat.filter(pc.is_null(numbers))[0].as_py()
            raise UserError(f"'{other}' is no label of this model, which has {', '.join(self.labels[:8])}.")
        if self.kind == "single_label":
            return np.asarray(numbers, dtype=np.int64)
        coded = np.zeros((len(column), len(self.labels)), np.int64)
        coded[np.asarray(pc.list_parent_indices(column)), np.asarray(numbers)] = 1
        return coded


def _texts(rows: Rows) -> tuple[Any, Any]:
    """The column of the texts, and that of the second ones or None, none of it copied."""
    return rows.table["text"], rows.table["text_pair"] if "text_pair" in rows.table.column_names else None
