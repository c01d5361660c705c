"""The rows that all compared runs have answered, and what each run answered to them, laid row against row.

Knows neither what is measured of the answers nor which runs belong together.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from noria.common.errors import UserError
from noria.comparison.predictions import form_of, read
from noria.comparison.runs import Run
from noria.metric.answers import Answers

ALWAYS = ("id", "split", "key")


class CommonRows:
    """The rows of one split as the first run has them: what every other run has to have answered as well.

    `form` understands the answers, `ids` are those of the rows, `keys` the hashes of their texts (None in older
    predictions), and `truth` what is right.

    Raises:
        UserError: the first run has not answered a row of that split, or nobody knows what its answers are.
    """

    def __init__(self, first: Run, split: str) -> None:
        self.first, self.split = first, split
        table = read(first, split)
        self.form = form_of(first, table)
        self.ids = table["id"].combine_chunks()
        self.keys = _keys(table)
        self._truth = {name: table[name].combine_chunks() for name in self.form.truth if name in table.column_names}
        self._fingerprint = _fingerprint(first, split)
        known = [name for name in table.column_names if name in self.form.truth]
        self.truth = self.form.read(table.select(known)) if known else None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.form.labels)

    def holds(self, content: str) -> bool:
        """Whether the predictions of this form are of that content, such as `class` (`metric.answers.CONTENTS`)."""
        return self.form.contents_of().get("prediction") == content

    def answers(self, run: Run, columns: Collection[str]) -> Answers:
        """A run's answers, in the order of these rows.

        Args:
            columns: those that are wanted; what is right comes with them.

        Raises:
            UserError: the run was measured on other rows, or on rows with other labels or texts.
        """
        table = read(run, self.split, ["id", *self._truth, *columns])
        form = form_of(run, table)
        both = f"{run.folder} and {self.first.folder}"
        if form.contents_of() != self.form.contents_of():
            raise UserError(f"{both} were made for different tasks.")
        if form.path() != self.form.path() and "loss" in columns:
            raise UserError(f"{both} have losses of different kinds: name a metric of their answers (stage.metric).")
        table = self._aligned(run, table, columns)
        found = self.form.read(table.select([name for name in table.column_names if name not in ALWAYS]))
        if list(form.labels) == list(self.form.labels):
            return found
        order = [list(form.labels).index(name) for name in self.form.labels]
        shares = {name for name, content in self.form.contents_of().items() if content == "shares"}
        return Answers({n: found[n][:, order] if n in shares else found[n] for n in found}, found.labels)

    def _aligned(self, run: Run, table: pa.Table, columns: Collection[str]) -> pa.Table:
        ids = table["id"].combine_chunks()
        if not ids.equals(self.ids):
            place = pc.index_in(self.ids, ids)  # type: ignore[attr-defined]
            if len(ids) != len(self.ids) or place.null_count:
                shared = len(self.ids) - place.null_count
                raise UserError(
                    f"{self.first.folder} and {run.folder} were measured on different rows of {self.split}: "
                    f"{len(self.ids):,} and {len(ids):,}, {shared:,} of them in both. Measure both on the same data: "
                    "noria stage=evaluate artifact=… data.path=…"
                )
            table = table.take(place)
        # how many tokens a text was cut into matters only to what is measured of tokens
        counts = {name for name, content in self.form.contents_of().items() if content == "count"} - {*columns}
        unlike = [name for name, ours in self._truth.items() if name not in counts and not _same(ours, table, name)]
        if unlike:
            raise UserError(f"{self.first.folder} and {run.folder} {self.form.truth[unlike[0]]}")
        if self._fingerprint and (theirs := _fingerprint(run, self.split)) and theirs != self._fingerprint:
            raise UserError(f"{self.first.folder} and {run.folder} have different texts under the same row ids.")
        return table


def _same(ours: pa.Array, table: pa.Table, name: str) -> bool:
    """Equal; numbers may differ by what is lost in single precision, in which each kind has them on its own scale."""
    if name not in table.column_names:
        return False
    theirs = table[name].combine_chunks()
    if pa.types.is_floating(ours.type) and pa.types.is_floating(theirs.type):
        return len(ours) == len(theirs) and bool(np.allclose(ours, theirs, rtol=1e-6, atol=1e-6))
    return bool(theirs.equals(ours))


def _keys(table: pa.Table) -> np.ndarray | None:
    """The hashes of the rows' texts as bytes (n,), as `train_keys.npy` holds them; None in older predictions."""
    if "key" not in table.column_names:
        return None
    return np.array(table["key"].to_pylist(), dtype=f"S{table.schema.field('key').type.byte_width}")


def _fingerprint(run: Run, split: str) -> str | None:
    found = ((run.record.get("data") or {}).get("fingerprints") or {}).get(split)
    return None if found is None else str(found)
