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
from itertools import repeat
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Interval

from noria.common.errors import UserError
from noria.data.rows.rows import Rows
from noria.data.rows.split import KEY, keyed, normalise, sample
from noria.data.source.votes import Trust, Vote, place_of, settle
from noria.data.text import TextData
from noria.feedback.records import Correction, Prediction

SALT = b"noria feedback"
TAB = "\t"


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
        cap: texts of one client at most.
        least: how probable a label has to be, given all votes on its text.
        distrust: clients that are right less often on gold rows are not heard.
    """

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

    def read(self) -> dict[str, Rows]:
        from noria.feedback.store import Store

        if not self.form.votable:
            raise UserError("data=feedback learns one label a text: the answers of this task are something else.")
        self.original.bind(copy(self.form), self.tokenizer, self.seed).setup()
        self.label_names = self.labels or self.original.labels
        store = Store(self.url)
        try:
            found = list(store.corrections())
        finally:
            store.close()
        pairs = self.original.splits["train"].pairs is not None
        votes, missing = _votes(found, pairs)
        believed, left_out, clients = settle(votes, self._gold(), self.label_names, self.trust, normalise)
        left_out |= missing
        self.report["feedback"] = {"corrections": len(found), "rows": len(believed), "left_out": left_out}
        self.report["clients"] = {name: round(share, 3) for name, share in sorted(clients.items())}
        if not believed:
            raise UserError(
                f"{_shown(self.url)} holds no feedback that can be learnt from ({left_out or 'none at all'})."
            )
        table = pa.table(
            {
                "id": [f"feedback:{one.id}" for one in believed],
                "text": [one.text for one in believed],
                **({"text_pair": [one.pair for one in believed]} if pairs else {}),
                "label": [one.label for one in believed],
            }
        )
        rows = Rows(table, f"feedback in {_shown(self.url)}")
        return self._beside_original(self._split(rows))

    def _split(self, rows: Rows) -> dict[str, Rows]:
        """By a hash of its own: users may send texts out of one side of a split that was made by the common one."""
        digests = (hashlib.blake2b(place.encode(), digest_size=8, person=SALT).digest() for place in _places(rows))
        place = np.array([int.from_bytes(digest, "big") / 2.0**64 for digest in digests])
        for_test, for_val = place < self.test_fraction, place >= 1 - self.val_fraction
        masks = {"train": ~(for_test | for_val), "val": for_val, "test": for_test}
        for name, mask in masks.items():
            if not mask.any():
                raise UserError(f"{rows.where}: its {len(rows)} rows are too few: the split '{name}' would be empty.")
        return {name: keyed(rows.select(mask)) for name, mask in masks.items()}

    def _gold(self) -> dict[str, str]:
        train = self.original.splits["train"]
        return dict(zip(_places(train), train.table["label"].to_pylist(), strict=True))

    def _beside_original(self, ours: dict[str, Rows]) -> dict[str, Rows]:
        """Original rows beside the feedback in train and val, drawn by hash; test stays feedback alone."""
        share = self.replay / max(len(self.original.splits["train"]), 1)
        for split in ("train", "val"):
            theirs = self.original.splits.get(split)
            count = self.replay if split == "train" else round(share * len(theirs)) if theirs else 0
            if theirs is not None and count and split in ours:
                names = ["id", *(["text"] if theirs.pairs is None else ["text", "text_pair"]), "label", KEY]
                both = [keyed(rows).table.select(names) for rows in (ours[split], sample(theirs, count))]
                ours[split] = replace(ours[split], table=pa.concat_tables([part.cast(both[0].schema) for part in both]))
        self.report["replayed"] = min(self.replay, len(self.original.splits["train"]))
        return ours


def joined(text: str, pair: str | None) -> str:
    """A text, or both of a pair with a tab between, as stores of before have them."""
    return text if pair is None else f"{text}{TAB}{pair}"


def _places(rows: Rows) -> list[str]:
    pairs = rows.pairs if rows.pairs is not None else repeat(None)
    return [place_of(text, pair, normalise) for text, pair in zip(rows.texts, pairs, strict=False)]


def _votes(found: Sequence[Correction], pairs: bool) -> tuple[list[Vote], dict[str, int]]:
    """What was said of answers whose texts are kept, and how much cannot be learnt from, by reason."""
    votes: list[Vote] = []
    missing: Counter[str] = Counter()
    for said in found:
        first, second = _texts(said.prediction, pairs)
        if not first:
            missing["no_text"] += 1
        elif pairs != (second is not None):  # of a model that read pairs, in the store of one that does not, or so
            missing["no_second_text" if pairs else "second_text"] += 1
        else:
            votes.append(_vote(said, first, second))
    return votes, dict(missing)


def _texts(about: Prediction, pairs: bool) -> tuple[str | None, str | None]:
    """Of a pair both. Stores of before had one column, in which a tab stands between the two."""
    text = about.text
    if pairs and text and about.text_pair is None and text.count(TAB) == 1:
        first, _, second = text.partition(TAB)
        return first, second
    return text, about.text_pair


def _vote(said: Correction, text: str, pair: str | None) -> Vote:
    """What a client said; a bare "wrong", where that leaves several labels, is a vote against the predicted one."""
    about, against = said.prediction, said.label is None
    label = about.label if said.label is None else said.label
    return Vote(about.id, text, said.client, label, said.created, against, pair)


def _shown(url: str) -> str:
    """The URL without a password."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
