"""What each run answered to the same rows: read from its predictions and laid row against row.

Knows neither what is measured of the answers nor which runs belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from noria.common.errors import UserError
from noria.common.mapping_file import read_mapping
from noria.common.names import ARTIFACT_FILE
from noria.comparison.runs import Run

pc: Any = pyarrow.compute  # its functions are made when it is imported: type checkers see none

CLASSES, SETS, VALUES, TOKENS = "single_label", "multi_label", "regression", "causal_lm"
TEXTS = "generation"  # predictions with the columns response and reference


@dataclass(frozen=True)
class Answers:
    """One run's answers to n rows; None is what was not asked for or is not there.

    Args:
        predicted: label numbers (n,) int16; zeros and ones (n, labels) int8 of several labels a row; values (n,); or
            texts (n,).
        probabilities: (n, labels) float32, in the order of the sheet's labels.
        loss: (n,) float32.
        text_loss: of a language model, summed over what is text (n,) float64.
    """

    predicted: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    loss: np.ndarray | None = None
    text_loss: np.ndarray | None = None


class Sheet:
    """The rows of one split as the first run has them: what every other run has to have answered as well.

    `truth` has the form of `Answers.predicted`, `tokens` (n,) counts the targets of each text of a language model,
    `bytes` and `words` (n,) how much text they stand for (None in older predictions).

    Raises:
        UserError: the first run has not answered a row of that split.
    """

    def __init__(self, first: Run, split: str) -> None:
        self.first, self.split = first, split
        table = self._table(first, None)
        self.kind = _kind(table)
        self.ids = table["id"].combine_chunks()
        self.keys = _keys(table)
        self.labels = tuple(labels_of(first)) if self.kind in (CLASSES, SETS) else ()
        self._vocabulary = pa.array(self.labels, pa.string())
        self.tokens, self.bytes, self.words = (
            np.asarray(table[name]) if self.kind == TOKENS and name in table.column_names else None
            for name in ("tokens", "bytes", "words")
        )
        self._true = "reference" if self.kind == TEXTS else "label"
        self._said = "response" if self.kind == TEXTS else "prediction"
        self._truth = table[self._true].combine_chunks() if self.kind != TOKENS else None
        self.truth = self._coded(self._truth) if self._truth is not None else None
        self._fingerprint = _fingerprint(first, split)

    def __len__(self) -> int:
        return len(self.ids)

    def answers(self, run: Run, columns: Sequence[str]) -> Answers:
        """A run's answers, in the order of the sheet.

        Args:
            columns: of `predicted`, `probabilities`, `loss`, `text_loss`.

        Raises:
            UserError: the run was measured on other rows, or on rows with other labels or texts.
        """
        wanted = [self._said if column == "predicted" else column for column in columns]
        table = self._table(run, ["id", self._true, "tokens", *wanted])
        if _kind_differs(self.kind, table):
            raise UserError(f"{run.folder} and {self.first.folder} were made for different tasks.")
        table = self._aligned(run, table)
        found = set(table.column_names)
        return Answers(
            self._coded(table[self._said].combine_chunks()) if self._said in found else None,
            self._probabilities(run, table) if "probabilities" in found else None,
            np.asarray(table["loss"], dtype=np.float32) if "loss" in found else None,
            np.asarray(table["text_loss"]) if "text_loss" in found else None,
        )

    def _table(self, run: Run, columns: list[str] | None) -> pa.Table:
        """The run's rows of the split, with those of the columns that it has."""
        try:
            file = pq.ParquetFile(run.predictions)
            has = file.schema_arrow.names
            wanted = has if columns is None else [name for name in has if name in columns or name == "split"]
            table = file.read(columns=wanted, use_threads=False)
            split = table["split"]
            if table.num_rows and pc.min_max(split)["min"].as_py() == pc.min_max(split)["max"].as_py() == self.split:
                return table
            table = table.filter(pc.equal(split, self.split))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise UserError(f"{run.predictions} cannot be read: {' '.join(str(error).split())[:200]}") from error
        if not table.num_rows:
            raise UserError(
                f"{run.folder} has no predictions of the split {self.split}. Make them with noria stage=evaluate "
                f"artifact={run.artifact} stage.split={self.split}, or compare another split (stage.split=…)."
            )
        return table

    def _aligned(self, run: Run, table: pa.Table) -> pa.Table:
        ids = table["id"].combine_chunks()
        if not ids.equals(self.ids):
            place = pc.index_in(self.ids, ids)
            if len(ids) != len(self.ids) or place.null_count:
                shared = len(self.ids) - place.null_count
                raise UserError(
                    f"{self.first.folder} and {run.folder} were measured on different rows of {self.split}: "
                    f"{len(self.ids):,} and {len(ids):,}, {shared:,} of them in both. Measure both on the same data: "
                    "noria stage=evaluate artifact=… data.path=…"
                )
            table = table.take(place)
        if self._truth is not None and not table[self._true].combine_chunks().equals(self._truth):
            raise UserError(f"{self.first.folder} and {run.folder} have different labels for the same rows.")
        if self._fingerprint and (theirs := _fingerprint(run, self.split)) and theirs != self._fingerprint:
            raise UserError(f"{self.first.folder} and {run.folder} have different texts under the same row ids.")
        if self.tokens is not None and not np.array_equal(np.asarray(table["tokens"]), self.tokens):
            raise UserError(
                f"{self.first.folder} and {run.folder} cut the same texts into different tokens or windows: losses a "
                "token of different tokenizers cannot be compared. Bits per byte can, in their records."
            )
        return table

    def _coded(self, column: pa.Array) -> np.ndarray:
        if self.kind == TEXTS:
            return np.array(column.to_pylist(), dtype=object)
        if self.kind == VALUES:
            return np.asarray(column, dtype=np.float64)
        if self.kind == CLASSES:
            return np.asarray(self._numbers(column), dtype=np.int16)
        coded = np.zeros((len(column), len(self.labels)), np.int8)
        rows = np.asarray(pc.list_parent_indices(column))
        coded[rows, np.asarray(self._numbers(pc.list_flatten(column)))] = 1
        return coded

    def _numbers(self, names: pa.Array) -> pa.Array:
        numbers = pc.index_in(names, self._vocabulary)
        if numbers.null_count:
            other = names.filter(pc.is_null(numbers))[0].as_py()
            raise UserError(f"'{other}' is no label of {self.first.folder}, which has {', '.join(self.labels[:8])}.")
        return numbers

    def _probabilities(self, run: Run, table: pa.Table) -> np.ndarray:
        flat = np.asarray(pc.list_flatten(table["probabilities"].combine_chunks()), dtype=np.float32)
        found = flat.reshape(len(table), -1)
        theirs = labels_of(run)
        return found if tuple(theirs) == self.labels else found[:, [theirs.index(name) for name in self.labels]]


def labels_of(run: Run) -> list[str]:
    """The label names of a run, in the order of its probabilities.

    Raises:
        UserError: neither its record nor its artifact tells them.
    """
    told = (run.record.get("data") or {}).get("labels")
    if told:
        return [str(name) for name in told]
    path = run.artifact / ARTIFACT_FILE
    try:
        return [str(name) for name in read_mapping(path)["labels"]]
    except (OSError, UserError, KeyError, TypeError) as error:
        raise UserError(f"{path}, which names the labels of {run.folder}, cannot be read: {error}") from error


def _kind(table: pa.Table) -> str:
    names = table.column_names
    if "tokens" in names:
        return TOKENS
    if "response" in names:
        return TEXTS
    if "probabilities" not in names:
        return VALUES
    return SETS if pa.types.is_list(table.schema.field("label").type) else CLASSES


def _kind_differs(kind: str, table: pa.Table) -> bool:
    if (kind == TOKENS) != ("tokens" in table.column_names):
        return True
    if kind == TOKENS:
        return False
    if (kind == TEXTS) != ("reference" in table.column_names):
        return True
    if kind == TEXTS:
        return False
    label = table.schema.field("label").type
    return {CLASSES: pa.types.is_string, SETS: pa.types.is_list, VALUES: pa.types.is_floating}[kind](label) is False


def _keys(table: pa.Table) -> np.ndarray | None:
    """The hashes of the rows' texts as bytes (n,), as `train_keys.npy` holds them; None in older predictions."""
    if "key" not in table.column_names:
        return None
    return np.array(table["key"].to_pylist(), dtype=f"S{table.schema.field('key').type.byte_width}")


def _fingerprint(run: Run, split: str) -> str | None:
    found = ((run.record.get("data") or {}).get("fingerprints") or {}).get(split)
    return None if found is None else str(found)
