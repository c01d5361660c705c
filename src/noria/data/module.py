"""The base of all data: read, split, tokenise and batch, as a LightningDataModule.

Knows neither where the rows come from (a leaf's `read` does), nor what is learnt from them (its form does), nor the
model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, Self

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

    from noria.data.source.votes import Ballot

Fraction = Annotated[float, Interval(ge=0, lt=1)]


class Use(Protocol):
    """What becomes of the rows: `noria.task.form.Form` is one, and says what each part does."""

    labels: Sequence[str]
    heard: ClassVar[tuple[str, ...]]

    def path(self) -> str: ...
    def ballot(self) -> Ballot: ...
    def settings(self) -> dict[str, Any]: ...
    def clean(self, given: dict[str, Rows], written: Mapping[str, Any], /) -> dict[str, Rows]: ...
    def settle(self, train: Rows, written: Mapping[str, Any], /) -> None: ...
    def check(self, rows: Rows, /) -> None: ...
    def contents(self, rows: Rows, /) -> list[Iterable[str]]: ...
    def corpus(self, rows: Rows, /) -> Iterable[str]: ...
    def prompts(self, rows: Rows, count: int, /) -> list[tuple[Any, str]]: ...
    def encode(
        self, rows: Rows, tokenizer: PreTrainedTokenizerBase, max_length: int, measured: bool,
        written: Mapping[str, Any], /,
    ) -> Encoded: ...  # fmt: skip


class DataModule(L.LightningDataModule):
    """Rows in splits, and their batches.

    A leaf says where the rows come from: it has `read`, keys of its own, and `gives`, the columns of its rows. What is
    learnt from them comes with `bind`, before anything is read.

    After `setup`: `splits` ("train", and "val" and "test" where there are any), `report` (plain values:
    rows, dropped, overlaps, truncated, sources), `fingerprint` and `fingerprints` (sha256 of all that is learnt
    from, of all and of each split), `column_prints` (for each split one of each column that is learnt from). A split is
    tokenised when it is first asked for.

    Args:
        val_fraction: the share of train that becomes "val" where the source has none; 0: no such split.
        batch_tokens: padded tokens (rows x longest) of one training batch on one rank, at most; None: `batch_size`
            examples.
        limit: keep only so many rows of train, chosen by hash, for quick trials.
        eval_limit: keep only so many rows of val and of test, chosen by hash. It is a key of its own, so that trials
            with different `limit` are measured on the same rows.
    """

    gives: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
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
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.eval_batch_size = eval_batch_size
        self.max_length = max_length
        self.val_fraction = val_fraction
        self.test_fraction = test_fraction
        self.num_workers = num_workers
        self.limit = limit
        self.eval_limit = eval_limit
        self.form: Use
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.seed = 0
        self.splits: dict[str, Rows] = {}
        self.report: dict[str, Any] = {}
        self.fingerprints: dict[str, str] = {}
        self.column_prints: dict[str, list[str]] = {}
        self.fingerprint = ""
        self.row_weights: np.ndarray | None = None  # what each training row counts with; the task says it
        self._encoded: dict[str, Encoded] = {}

    def bind(self, form: Use, tokenizer: PreTrainedTokenizerBase | None = None, seed: int = 0) -> Self:
        """Says what the rows are for; gives the data back.

        Args:
            form: makes tokens and targets of the rows. Where it came with an artifact it knows its labels already.
            tokenizer: a fast tokenizer; None where only the rows are wanted.
            seed: decides the order of the training batches, and nothing else.
        """
        self.form, self.tokenizer, self.seed = form, tokenizer, seed
        return self

    def read(self) -> dict[str, Rows]:
        """The source's own splits: "train", and "val" and "test" where it has them. Leaves implement this."""
        raise NotImplementedError

    @property
    def written(self) -> dict[str, Any]:
        """How the rows are written, for the form: by the leaf's own keys, such as `label_separator`."""
        return {}

    @property
    def labels(self) -> list[str]:
        """The names that answers are made of, in the order of the targets; none where there are no classes."""
        return list(self.form.labels)

    def corpus(self) -> Iterable[str]:
        """All texts of the training rows, for a tokenizer that is trained on them."""
        self.setup()
        return self.form.corpus(self.splits["train"])

    def prompts(self, split: str, count: int) -> list[tuple[Any, str]]:
        """Some beginnings for a decoder to go on from (a text, or chat messages), each with what follows it here."""
        return self.form.prompts(self.splits[split], count)

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
        given = self.form.clean(self.read(), self.written)
        splits = split_room.complete(given, self.val_fraction, self.test_fraction)
        self.form.settle(splits["train"], self.written)
        for name, rows in splits.items():
            limit = self.limit if name == "train" else self.eval_limit
            if limit is not None:
                splits[name] = split_room.sample(rows, limit)
        for rows in splits.values():
            self.form.check(rows)
        digests = {name: column_digests(self.form.contents(rows)) for name, rows in splits.items()}
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
            assert self.tokenizer is not None, "tokens are made with the tokenizer that `bind` is given"
            rows, measured = self.splits[split], split != "train"
            try:
                made = self.form.encode(rows, self.tokenizer, self.max_length, measured, self.written)
            except UserError as error:  # several splits may come from one file
                raise UserError(f"The split '{split}': {error}") from error
            self.report["truncated"][split] = made.truncated
            if made.left_out:  # what only their tokens show to be of no use
                self.report["dropped"][split] = {**self.report["dropped"].get(split, {}), **made.left_out}
            self._encoded[split] = made
        return self._encoded[split]

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
