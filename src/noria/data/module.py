"""The base of all data: read, split, tokenise and batch, as a LightningDataModule.

Knows neither where the rows come from (a leaf's `read` does), nor what is to be learnt from them, nor the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import lightning as L
import numpy as np
from annotated_types import Ge, Gt, Interval

from noria.common.errors import UserError
from noria.data.batch.batches import LengthGroupedBatches
from noria.data.batch.encoded import Encoded
from noria.data.batch.loader import ResumableLoader
from noria.data.rows import split as split_room
from noria.data.rows.rows import Rows, column_digests, digest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Fraction = Annotated[float, Interval(ge=0, lt=1)]


class DataModule(L.LightningDataModule):
    """Rows in splits, and their batches.

    After `setup`: `splits` ("train", and "val" and "test" where there are any), `report` (plain values:
    rows, dropped, overlaps, truncated, sources), `fingerprint` and `fingerprints` (sha256 of all that is learnt
    from, of all and of each split), `column_prints` (for each split one of each of its `contents`). A split is
    tokenised when it is first asked for.

    Args:
        kind: what is to be learnt; one of the class's `kinds`.
        tokenizer: a fast tokenizer; may be set later, before tokens are needed.
        seed: decides the order of the training batches, and nothing else.
        labels: the known class names, in order, for kinds that have any; None: those of train.
        val_fraction: the share of train that becomes "val" where the source has none; 0: no such split.
        batch_tokens: padded tokens (rows x longest) of one training batch on one rank, at most; None: `batch_size`
            examples.
        limit: keep only so many rows of train, chosen by hash, for quick trials.
        eval_limit: keep only so many rows of val and of test, chosen by hash. It is a key of its own, so that trials
            with different `limit` are measured on the same rows.
    """

    kinds: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        kind: str,
        tokenizer: PreTrainedTokenizerBase | None,
        seed: int,
        labels: list[str] | None = None,
        *,
        batch_size: Annotated[int, Gt(0)] = 32,
        batch_tokens: Annotated[int, Gt(0)] | None = None,
        eval_batch_size: Annotated[int, Gt(0)] = 64,
        max_length: Annotated[int, Gt(1)] = 128,
        val_fraction: Fraction = 0.1,
        test_fraction: Fraction = 0.1,
        num_workers: Annotated[int, Ge(0)] = 0,
        limit: Annotated[int, Gt(0)] | None = None,
        eval_limit: Annotated[int, Gt(0)] | None = None,
    ) -> None:
        super().__init__()
        assert kind in self.kinds, kind
        self.kind = kind
        self.tokenizer = tokenizer
        self.seed = seed
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.eval_batch_size = eval_batch_size
        self.max_length = max_length
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.num_workers = num_workers
        self.limit = limit
        self.eval_limit = eval_limit
        self.labels: list[str] = list(labels or [])
        self.splits: dict[str, Rows] = {}
        self.report: dict[str, Any] = {}
        self.fingerprints: dict[str, str] = {}
        self.column_prints: dict[str, list[str]] = {}
        self.fingerprint = ""
        self.row_weights: np.ndarray | None = None  # what each training row counts with; the task says it
        self._encoded: dict[str, Encoded] = {}

    def read(self) -> dict[str, Rows]:
        """The source's own splits: "train", and "val" and "test" where it has them. Leaves implement this."""
        raise NotImplementedError

    def clean(self, given: dict[str, Rows]) -> dict[str, Rows]:
        """The rows that can be used, before they are split; what is left out is counted in `Rows.dropped`."""
        return given

    def settle(self, train: Rows) -> None:
        """Takes from all of train what must not depend on `limit`: the names of the labels."""

    def use(self, splits: dict[str, Rows]) -> None:
        """Makes the targets of the final splits, so that an unusable one is found at once."""

    def encode(self, split: str) -> Encoded:
        """The tokens and targets of a split."""
        raise NotImplementedError

    def contents(self, rows: Rows) -> list[Iterable[str]]:
        """Columns of strings that hold all that is learnt from these rows, for the fingerprint."""
        raise NotImplementedError

    def prompts(self, split: str, count: int) -> list[tuple[Any, str]]:
        """Some beginnings for a decoder to go on from (a text, or chat messages), each with what follows it here."""
        return []

    @property
    def num_labels(self) -> int:
        return len(self.labels)

    def prepare_data(self) -> None:
        """Fills the token cache. Called before there is a group of processes: none waits for another's tokenising."""
        self.setup()
        if self.tokenizer is not None:
            for name in ("train", "val"):
                if name in self.splits:
                    self.encoded(name)

    def setup(self, stage: str | None = None) -> None:
        """Reads, cleans and splits the rows; a second call does nothing.

        Raises:
            UserError: the source cannot be read, or its rows do not fit the task.
        """
        if self.splits:
            return
        given = self.clean(self.read())
        splits = split_room.complete(given, self.val_fraction, self.test_fraction)
        self.settle(splits["train"])
        for name, rows in splits.items():
            limit = self.limit if name == "train" else self.eval_limit
            if limit is not None:
                splits[name] = split_room.sample(rows, limit)
        self.use(splits)
        digests = {name: column_digests(self.contents(rows)) for name, rows in splits.items()}
        self.fingerprints = {name: hashlib.sha256(b"".join(found)).hexdigest() for name, found in digests.items()}
        self.column_prints = {
            name: [hashlib.sha256(one).hexdigest()[:16] for one in found] for name, found in digests.items()
        }
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
            self._encoded[split] = self.encode(split)
        return self._encoded[split]

    def leave_out(self, split: str, reason: str, count: int) -> None:
        """Counts rows that only their tokens show to be of no use."""
        if count:
            self.report["dropped"].setdefault(split, {})[reason] = count

    def loader(self, split: str, *, shuffle: bool = False, batch_size: int | None = None) -> ResumableLoader:
        """This rank's batches of a split: shuffled by (seed, epoch), or the longest rows first."""
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        size = batch_size or (self.batch_size if shuffle else self.eval_batch_size)
        tokens = None if batch_size else self.batch_tokens
        rows = self.encoded(split)
        if not shuffle:
            batches = LengthGroupedBatches(rows.lengths, size, self.seed, False, rank, world_size)
            return ResumableLoader(rows, batches, self.num_workers)
        accumulate = trainer.accumulate_grad_batches if trainer else 1
        batches = LengthGroupedBatches(rows.lengths, size, self.seed, True, rank, world_size, accumulate, tokens)
        used = (lambda: int(trainer.num_training_batches)) if trainer else None
        return ResumableLoader(rows, batches, self.num_workers, self.row_weights, used)

    def train_dataloader(self) -> ResumableLoader:
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> ResumableLoader | list[ResumableLoader]:
        """The loader of "val", or none at all where there is no such split."""
        return self.loader("val") if "val" in self.splits else []

    def test_dataloader(self) -> ResumableLoader:
        return self.loader("test")

    def batches_per_epoch(self, world_size: int, accumulate: int = 1) -> int:
        """How many training batches each rank sees in an epoch."""
        lengths = self.encoded("train").lengths
        batches = LengthGroupedBatches(
            lengths, self.batch_size, world_size=world_size, accumulate=accumulate, batch_tokens=self.batch_tokens
        )
        return len(batches)
