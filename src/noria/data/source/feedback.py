"""What users of a served model said of its answers, as rows to train on, with rows of the original data against
forgetting. The loop closes here, through a database.

Knows neither who serves nor what becomes of the next model.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Interval

from noria.common.errors import UserError
from noria.data.rows.rows import Rows
from noria.data.rows.split import keyed, sample
from noria.data.source.votes import Trust, Vote, settle
from noria.data.text import TextData
from noria.feedback.records import Correction

SALT = b"noria feedback"


class FeedbackData(TextData):
    """Corrections out of the feedback store, one row a text.

    Splits: a text is held out by its hash, so that it is never trained on, whichever turn it comes in: `test` is
    feedback alone, `train` and `val` have rows of the original data as well. What was left out is counted in
    `report["dropped"]["feedback"]`, how far each client is believed in `report["clients"]`.

    Args:
        url: of the feedback store.
        original: the data that the first model was trained on (a config of `data` with `_partial_: true`).
        replay: how many of its training rows stand beside the feedback; the same share of its validation rows.
        weigh: weigh clients by their agreement with gold rows, the original training rows that they were asked about;
            False takes every vote as it is.
        cap: requests of one client at most.
        least: how probable a label has to be, given all votes on its request.
        distrust: clients that are right less often on gold rows are not heard.
    """

    gives: ClassVar[tuple[str, ...]] = ()  # what the form's ballot writes

    def __init__(
        self,
        *,
        url: str,
        original: Callable[..., TextData],
        replay: Annotated[int, Ge(0)] = 2000,
        weigh: bool = True,
        cap: Annotated[int, Gt(0)] = 1000,
        least: Annotated[float, Interval(ge=0, le=1)] = 0.7,
        distrust: Annotated[float, Interval(ge=0, le=1)] = 0.6,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.url, self.replay = url, replay
        self.trust = Trust(cap=cap, least=least, distrust=distrust, weigh=weigh)
        self.original = original()

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        for reason, count in self.report["feedback"]["left_out"].items():  # before it was split, so of no one split
            self.report["dropped"].setdefault("feedback", {})[reason] = count

    @property
    def written(self) -> dict[str, Any]:
        """Labels are written as the ballot writes them, all else as in the original data."""
        return {**self.original.written, **super().written}

    def read(self) -> dict[str, Rows]:
        from noria.feedback.store import Store

        self.form.ballot()  # it refuses what cannot be learnt from before anything is read
        self.original.bind(copy(self.form), self.tokenizer, self.seed).setup()
        self.ballot, self.label_names = self.original.form.ballot(), self.original.labels
        store = Store(self.url)
        try:
            found = list(store.corrections())
        finally:
            store.close()
        votes, missing = self._votes(found)
        train = self.original.splits["train"]
        known = zip(self._places(train), self.ballot.known(train), strict=True)
        gold = {place: label for place, label in known if label is not None}
        ballot = self.ballot
        believed, left_out, clients = settle(votes, gold, ballot.choices, self.trust, ballot.several_right)
        left_out |= missing
        self.report["feedback"] = {"corrections": len(found), "rows": len(believed), "left_out": left_out}
        self.report["clients"] = {name: round(share, 3) for name, share in sorted(clients.items())}
        if not believed:
            raise UserError(
                f"{_shown(self.url)} holds no feedback that can be learnt from ({left_out or 'none at all'})."
            )
        table = pa.table({"id": [f"feedback:{one.id}" for one in believed], **self.ballot.rows(believed)})
        return self._beside_original(self._split(Rows(table, f"feedback in {_shown(self.url)}")))

    def _votes(self, found: Sequence[Correction]) -> tuple[list[Vote], dict[str, int]]:
        """What was said of answers whose requests are kept, and how much cannot be learnt from, by reason."""
        votes: list[Vote] = []
        missing: Counter[str] = Counter()
        for said in found:
            request, problem = self.ballot.read(said.prediction.request)
            if said.prediction.form not in (self.form.path(), *self.form.heard):
                problem = "another_task"
            if problem is not None:
                missing[problem] += 1
                continue
            about = said.prediction
            vote = self.ballot.vote(request, about.answer, said.correct, said.correction)
            if vote is None:
                missing["does_not_fit"] += 1
                continue
            label, against = vote
            place = self.ballot.place(request)
            votes.append(Vote(about.id, place, said.client, label, said.created, against, request))
        return votes, dict(missing)

    def _places(self, rows: Rows) -> list[str]:
        return [self.ballot.place(request) for request in self.ballot.requests(rows)]

    def _split(self, rows: Rows) -> dict[str, Rows]:
        """By a hash of its own: users may send texts out of one side of a split that was made by the common one."""
        digests = (hashlib.blake2b(place.encode(), digest_size=8, person=SALT).digest() for place in self._places(rows))
        place = np.array([int.from_bytes(digest, "big") / 2.0**64 for digest in digests])
        for_test, for_val = place < self.test_fraction, place >= 1 - self.val_fraction
        masks = {"train": ~(for_test | for_val), "val": for_val, "test": for_test}
        for name, mask in masks.items():
            if not mask.any():
                raise UserError(f"{rows.where}: its {len(rows)} rows are too few: the split '{name}' would be empty.")
        return {name: keyed(rows.select(mask)) for name, mask in masks.items()}

    def _beside_original(self, ours: dict[str, Rows]) -> dict[str, Rows]:
        """Original rows beside the feedback in train and val, drawn by hash; test stays feedback alone."""
        share = self.replay / max(len(self.original.splits["train"]), 1)
        for split in ("train", "val"):
            theirs = self.original.splits.get(split)
            count = self.replay if split == "train" else round(share * len(theirs)) if theirs else 0
            if theirs is not None and count and split in ours:
                mine = keyed(ours[split]).table
                both = [mine, _with_columns(keyed(sample(theirs, count)).table, mine.schema)]
                ours[split] = replace(ours[split], table=pa.concat_tables(both))
        self.report["replayed"] = min(self.replay, len(self.original.splits["train"]))
        return ours


def _with_columns(table: pa.Table, wanted: pa.Schema) -> pa.Table:
    """The table with these columns alone; what it has not is null."""
    there = {*table.column_names}
    columns = [
        table[one.name].cast(one.type) if one.name in there else pa.nulls(len(table), one.type) for one in wanted
    ]
    return pa.table(columns, schema=wanted)


def _shown(url: str) -> str:
    """The URL without a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
