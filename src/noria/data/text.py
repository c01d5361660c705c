"""The base of all text data: read, clean, split, encode, tokenise and batch, as a LightningDataModule.

Knows neither where the rows come from (a leaf's `read` does) nor which model will see them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import lightning as L
import numpy as np
from annotated_types import Ge, Gt, Interval

from noria.common.errors import UserError
from noria.data import labels as label_room
from noria.data import split as split_room
from noria.data.batches import LengthGroupedBatches, batch_count
from noria.data.encoded import Encoded
from noria.data.loader import ResumableLoader
from noria.data.rows import Rows, digest
from noria.data.tokens import cached_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Fraction = Annotated[float, Interval(ge=0, lt=1)]


class TextData(L.LightningDataModule):
    """Texts or pairs of texts with labels.

    After `setup`: `labels` (the class names in the order of the targets; empty for regression), `num_labels`
    (1 for regression), `splits` ("train", and "val" and "test" where there are any), `report` (plain values:
    rows, dropped, overlaps, truncated, sources), `fingerprint` and `fingerprints` (sha256 of ids, texts and
    labels, of all and of each split). A split is tokenised when it is first asked for.

    Args:
        kind: "single_label", "multi_label" or "regression".
        tokenizer: a fast tokenizer; may be set later, before tokens are needed.
        seed: decides the order of the training batches, and nothing else.
        labels: the known class names, in order; None: those of train.
        val_fraction: the share of train that becomes "val" where the source has none; 0: no such split.
        label_names: the names of the labels 0, 1, 2, ... where the data holds numbers.
        label_separator: what stands between the labels of one cell, for several labels a row.
        limit: keep only so many rows of each split, chosen by hash, for quick trials.
    """

    def __init__(
        self,
        kind: str,
        tokenizer: PreTrainedTokenizerBase | None,
        seed: int,
        labels: list[str] | None = None,
        *,
        batch_size: Annotated[int, Gt(0)] = 32,
        eval_batch_size: Annotated[int, Gt(0)] = 64,
        max_length: Annotated[int, Gt(1)] = 128,
        val_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        num_workers: Annotated[int, Ge(0)] = 0,
        label_names: list[str] | None = None,
        label_separator: str = "|",
        limit: Annotated[int, Gt(0)] | None = None,
    ) -> None:
        super().__init__()
        assert kind in ("single_label", "multi_label", "regression"), kind
        self.kind = kind
        self.tokenizer = tokenizer
        self.seed = seed
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.max_length = max_length
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.num_workers = num_workers
        self.label_names = label_names
        self.label_separator = label_separator
        self.limit = limit
        self.labels: list[str] = [] if kind == "regression" else list(labels or [])
        self.splits: dict[str, Rows] = {}
        self.report: dict[str, Any] = {}
        self.fingerprints: dict[str, str] = {}
        self.fingerprint = ""
        self._targets: dict[str, np.ndarray] = {}
        self._encoded: dict[str, Encoded] = {}

    def read(self) -> dict[str, Rows]:
        """The source's own splits: "train", and "val" and "test" where it has them. Leaves implement this."""
        raise NotImplementedError

    @property
    def num_labels(self) -> int:
        return 1 if self.kind == "regression" else len(self.labels)

    def prepare_data(self) -> None:
        """Fills the token cache, so that no process of a group waits for another one's tokenising."""
        self.setup()
        if self.tokenizer is not None:
            for name in ("train", "val"):
                if name in self.splits:
                    self.encoded(name)

    def setup(self, stage: str | None = None) -> None:
        """Reads, cleans and splits the rows and encodes their labels; a second call does nothing.

        Raises:
            UserError: the source cannot be read, or its rows do not fit the task.
        """
        if self.splits:
            return
        given = self.read()
        declared = self.label_names or next((r.label_names for r in given.values() if r.label_names), None)
        given = {n: label_room.clean(r, self.kind, self.label_separator, declared) for n, r in given.items()}
        splits = split_room.complete(given, self.val_fraction, self.test_fraction)
        if self.kind != "regression" and not self.labels:
            self.labels = list(declared) if declared else label_room.names_of(splits["train"], self.kind)
        if self.limit is not None:
            splits = {name: split_room.sample(rows, self.limit) for name, rows in splits.items()}
        self._targets = {name: label_room.encode(rows, self.kind, self.labels) for name, rows in splits.items()}
        self.fingerprints = {name: self._fingerprint(rows) for name, rows in splits.items()}
        self.fingerprint = digest([[f"{name}:{value}" for name, value in sorted(self.fingerprints.items())]])
        self.report |= {
            "rows": {name: len(rows) for name, rows in splits.items()},
            "dropped": {name: dict(rows.dropped) for name, rows in given.items()},
            "overlaps": split_room.overlaps(splits),
            "truncated": {},
            "sources": {name: rows.where for name, rows in splits.items()},
        }
        self.splits = splits

    def encoded(self, split: str) -> Encoded:
        """A split's tokens and targets, made on the first call.

        Raises:
            UserError: there is no such split.
        """
        self.setup()
        if split not in self.splits:
            raise UserError(
                f"This data has no split '{split}'. There are: {', '.join(self.splits)}. Give a file for it, "
                f"or a data.{split}_fraction above 0 to cut it from train."
            )
        if split not in self._encoded:
            assert self.tokenizer is not None, "set the tokenizer before tokens are needed"
            rows = self.splits[split]
            tokens = cached_tokens(self.tokenizer, rows.texts, rows.pairs, self.max_length)
            self.report["truncated"][split] = tokens.truncated
            self._encoded[split] = Encoded.of(self.tokenizer, tokens, self._targets[split])
        return self._encoded[split]

    def loader(self, split: str, *, shuffle: bool = False, batch_size: int | None = None) -> ResumableLoader:
        """This rank's batches of a split: shuffled by (seed, epoch), or the longest rows first."""
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        size = batch_size or (self.batch_size if shuffle else self.eval_batch_size)
        rows = self.encoded(split)
        batches = LengthGroupedBatches(rows.lengths, size, self.seed, shuffle, rank, world_size)
        return ResumableLoader(rows, batches, self.num_workers)

    def train_dataloader(self) -> ResumableLoader:
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> ResumableLoader | list[ResumableLoader]:
        """The loader of "val", or none at all where there is no such split."""
        return self.loader("val") if "val" in self.splits else []

    def test_dataloader(self) -> ResumableLoader:
        return self.loader("test")

    def batches_per_epoch(self, world_size: int) -> int:
        """How many training batches each rank sees in an epoch."""
        self.setup()
        return batch_count(len(self.splits["train"]), self.batch_size, world_size)

    def _fingerprint(self, rows: Rows) -> str:
        pairs = [] if rows.pairs is None else [rows.pairs]
        return digest([rows.ids, rows.texts, *pairs, label_room.as_text(rows, self.kind)])
